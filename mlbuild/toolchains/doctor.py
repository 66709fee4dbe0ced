"""What this machine lacks, and what to type."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import MlbuildError
from mlbuild.toolchains.addresses import redact_address
from mlbuild.toolchains.commands import uv_binary
from mlbuild.toolchains.environments import Toolchains
from mlbuild.toolchains.interpreters import installed
from mlbuild.toolchains.packageindex import configured

_ENOUGH_MB = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str  # "ok", "note" (works, but worth knowing) or "missing"
    text: str
    remedy: str | None = None  # what to type


def examine(toolchains: Toolchains, names: Sequence[str] | None = None) -> list[Finding]:
    """Looks at everything that a build needs from the machine; changes nothing.

    Args:
        toolchains: those of the project.
        names: the toolchains that matter, by default all.
    """
    wanted = tuple(names) if names is not None else toolchains.names()
    if sys.platform == "win32":
        return [_platform()]  # nothing else matters there, nor can it be looked at
    findings = [_platform(), _engine(), *_programs(), _uv(), _index(), _dvc()]
    findings += [*_cache(toolchains.folder), *_pythons(toolchains, wanted)]
    return findings + [_toolchain(toolchains, name) for name in wanted]


def _platform() -> Finding:
    if sys.platform == "win32":
        hint = "run mlbuild inside WSL: `wsl --install`, then install it there"
        return Finding("platform", "missing", "native Windows is not supported", hint)
    known = sys.platform in ("linux", "darwin")
    return Finding("platform", "ok" if known else "note", sys.platform)


def _engine() -> Finding:
    version = ".".join(str(n) for n in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("engine", "ok", f"Python {version}")
    hint = "install mlbuild under Python 3.11 to 3.13"
    return Finding("engine", "note", f"Python {version} is not tested", hint)


def _programs() -> list[Finding]:
    found = [
        _program("git", "missing", "install git with the system's package manager"),
        _program("bash", "note", "commands run with sh instead; install bash"),
    ]
    if sys.platform == "linux":
        hint = "only `mlbuild run --strace` needs it; install strace"
        found.append(_program("strace", "note", hint))
    return found


def _program(name: str, without: str, hint: str) -> Finding:
    path = shutil.which(name)
    return Finding(name, "ok", path) if path else Finding(name, without, "not on PATH", hint)


def _uv() -> Finding:
    path = uv_binary()
    if path:
        return Finding("uv", "ok", str(path))
    return Finding("uv", "note", "not found, pip installs more slowly", "pip install uv")


def _index() -> Finding:
    try:
        index = configured()
    except MlbuildError as error:
        return Finding("package index", "missing", error.render(), "correct that file")
    places = [*index.sources(), *index.find_links] or ["none: no-index is set"]
    return Finding("package index", "ok", ", ".join(redact_address(p) for p in places))


def _dvc() -> Finding:
    # Looked up and not imported: that alone would cost half a second.
    if importlib.util.find_spec("dvc") is not None:
        return Finding("dvc", "ok", "importable")
    return Finding("dvc", "missing", "not importable", f"{sys.executable} -m pip install dvc")


def _cache(folder: Path) -> list[Finding]:
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    hint = "set MLBUILD_CACHE_DIR to a folder that you may write"
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        detail = f"{folder.parent} cannot be written: {error.strerror}"
        return [Finding("cache folder", "missing", detail, hint)]
    free = shutil.disk_usage(existing).free / 1e6
    space = Finding("free space", "ok", f"{free:.0f} MB")
    if free < _ENOUGH_MB:
        hint = "free the disk, or move the cache with MLBUILD_CACHE_DIR"
        space = Finding("free space", "note", f"{free:.0f} MB; toolchains take about 1 GB", hint)
    return [Finding("cache folder", "ok", str(folder.parent)), space]


def _pythons(toolchains: Toolchains, names: Sequence[str]) -> list[Finding]:
    minors = {minor for name in names if (minor := _minor(toolchains, name))}
    findings = []
    for minor in sorted(minors, key=lambda m: [int(n) for n in m.split(".")]):
        found = installed(minor)
        if found:
            detail = f"{found.version} at {found.path}"
            findings.append(Finding(f"Python {minor}", "ok", detail))
        else:
            detail = "not found; uv downloads one when it is needed"
            hint = f"uv python install {minor}"
            findings.append(Finding(f"Python {minor}", "note", detail, hint))
    return findings


def _minor(toolchains: Toolchains, name: str) -> str | None:
    try:
        return toolchains.lock(name).python
    except MlbuildError:
        return None  # told by _toolchain


def _toolchain(toolchains: Toolchains, name: str) -> Finding:
    what = f"toolchain {name}"
    try:
        python = toolchains.python(name)
    except MlbuildError as error:
        return Finding(what, "missing", error.render())
    if python is not None:
        return Finding(what, "ok", os.fspath(python))
    if not toolchains.exists_here(name):
        return Finding(what, "note", "does not exist for this platform")
    hint = f"mlbuild toolchains --make {name}"
    return Finding(what, "note", "not made yet; the first build that uses it does", hint)
