"""Writes the pins and hashes of toolchains: `python tools/lock.py NAME...`.

A lock (`mlbuild/toolchains/locks/NAME.toml`) says by hand what it `wants`, what of its packages'
own requirements it `overrides`, and for which `platforms` it is. From that, `uv pip compile`
resolves each platform; where they differ, a pin gets a marker. The SHA-256 of every file that a pin
may be installed from goes to `NAME.sha256`, as the main package index tells it: neither extra
indexes nor local wheels have a say in that. `builds.sha256` is kept by hand: builds with a local
label that the index does not carry (torch's own CPU wheels).

Pins stay as they are as long as they satisfy what is wanted; `--upgrade` takes the newest.
torch needs its CPU wheel at hand (pip's find-links): the other one asks for gigabytes of CUDA.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlbuild.toolchains.commands import clean_environment, uv_binary  # noqa: E402 - path is set
from mlbuild.toolchains.interpreters import installed  # noqa: E402
from mlbuild.toolchains.packageindex import PackageIndex, configured  # noqa: E402
from mlbuild.toolchains.pins import Pin, normalized, parse_pin  # noqa: E402

LOCKS = ROOT / "mlbuild/toolchains/locks"
Pins = dict[str, str]  # name -> version
Files = dict[str, str]  # file name -> SHA-256

_MARKERS = {"linux-x86_64": "sys_platform == 'linux'", "darwin-arm64": "sys_platform == 'darwin'"}
# The oldest systems that a lock is for, where it does not say so itself (`glibc`, `macos`).
_GLIBC, _MACOS = "2.28", "14.0"


def lock(name: str, upgrade: bool) -> None:
    """Rewrites ``NAME.toml`` from `pins` on, and ``NAME.sha256``."""
    path = LOCKS / f"{name}.toml"
    text = path.read_text("utf-8")
    data = tomllib.loads(text)
    index, kept = configured(), [] if upgrade else still_wanted(data["pins"], data["wants"])
    resolved = {
        platform: _resolve(data, platform, data["wants"], kept, index)[0]
        for platform in data["platforms"]
    }
    head = text.partition("pins = [")[0].rstrip()
    listed = "".join(f'    "{pin}",\n' for pin in merged(resolved))
    path.write_text(f"{head}\npins = [\n{listed}]\n", "utf-8")
    path.with_suffix(".sha256").write_text(_hashes(data, resolved, index), "utf-8")


def still_wanted(pins: Iterable[str], wants: Iterable[str]) -> list[str]:
    """The pins that no requirement contradicts."""
    needed = {normalized(r.name): r.specifier for r in map(Requirement, wants)}

    def wanted(pin: Pin | None) -> bool:
        allowed = needed.get(pin.name) if pin else None
        return pin is not None and (allowed is None or allowed.contains(pin.version, True))

    return [line for line in pins if wanted(parse_pin(line))]


def merged(resolved: Mapping[str, Pins]) -> list[str]:
    """One list of pins for all platforms, with markers where they differ."""
    lines = set()
    for platform, pins in resolved.items():
        for package, version in pins.items():
            same = all(other.get(package) == version for other in resolved.values())
            marker = "" if same else f" ; {_MARKERS[platform]}"
            lines.add(f"{package}=={version}{marker}")
    return sorted(lines, key=lambda line: line.partition("=="))


def _hashes(data: Mapping[str, object], resolved: Mapping[str, Pins], index: PackageIndex) -> str:
    main = replace(index, extra_index_urls=(), find_links=())
    files: Files = {}
    for platform, pins in resolved.items():
        exact = [f"{package}=={version}" for package, version in pins.items()]
        files |= _resolve(data, platform, exact, (), main, "--no-deps")[1]
    return "".join(f"{digest}  {file}\n" for file, digest in sorted(files.items()))


def _resolve(
    data: Mapping[str, object],
    platform: str,
    wants: Iterable[str],
    kept: Iterable[str],
    index: PackageIndex,
    *options: str,
) -> tuple[Pins, Files]:
    """What uv makes of requirements: versions, and the files that they can be installed from."""
    python = str(data["python"])
    found = installed(python)  # for packages without wheels, whose requirements only they know
    overrides = data.get("overrides", [])
    assert isinstance(overrides, list)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "pylock.toml")
        command = ["pip", "compile", _listed(folder, "wants", wants)]
        command += ["--constraints", _listed(folder, "kept", kept)]
        command += ["--overrides", _listed(folder, "overrides", overrides)]
        command += ["--python-version", python, "--python-platform", _target(data, platform)]
        command += ["--python", str(found.path)] if found else []
        command += ["--format", "pylock.toml", "-q", "-o", str(output), *options]
        _uv(command, index, str(data.get("macos", _MACOS)))
        packages = tomllib.loads(output.read_text("utf-8"))["packages"]
    pins = {p["name"]: p["version"].partition("+")[0] for p in packages}
    return pins, {k: v for p in packages for k, v in _files_of(p).items()}


def _target(data: Mapping[str, object], platform: str) -> str:
    """A platform as uv calls it."""
    glibc = str(data.get("glibc", _GLIBC)).replace(".", "_")
    return {"linux-x86_64": f"x86_64-manylinux_{glibc}"}.get(platform, "aarch64-apple-darwin")


def _files_of(package: Mapping[str, object]) -> Files:
    """A package's wheels for the platform, or its source where there are none."""
    wheels, source = package.get("wheels"), package.get("sdist")
    files = wheels if isinstance(wheels, list) and wheels else [source]
    return {_file_name(file["url"]): file["hashes"]["sha256"] for file in files if file}


def _file_name(url: str) -> str:
    return unquote(re.sub(r"[?#].*", "", url).rpartition("/")[2])


def _listed(folder: str, name: str, lines: Iterable[str]) -> str:
    path = Path(folder, f"{name}.in")
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return str(path)


def _uv(arguments: Sequence[str], index: PackageIndex, macos: str) -> None:
    uv = uv_binary()
    if uv is None:
        raise SystemExit("tools/lock.py needs uv: pip install uv")
    environ = clean_environment(index.uv_environment(os.environ))
    environ["MACOSX_DEPLOYMENT_TARGET"] = macos
    done = subprocess.run([str(uv), *arguments], env=environ, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(index.redact(done.stderr))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--upgrade", action="store_true", help="take the newest of everything")
    given = parser.parse_args()
    for each in given.names:
        lock(each, given.upgrade)
