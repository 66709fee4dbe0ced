"""Whether an environment is what its lock says: versions compared, modules imported."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from mlbuild.toolchains.commands import clean_environment
from mlbuild.toolchains.pins import Lock, Pin, normalized

_IMPORT_LIMIT_SECONDS = 600.0  # cold imports of large libraries on a busy disk take minutes
_INSPECT = """
import importlib, importlib.metadata, json, sys
found = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()
         if d.metadata["Name"]}
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = type(error).__name__ + ": " + str(error)
version = ".".join(map(str, sys.version_info[:3]))
sys.stdout.write("\\n" + json.dumps({"found": found, "failed": failed, "python": version}) + "\\n")
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in an environment."""

    name: str
    problems: tuple[str, ...]  # empty: it is what the lock says
    installed: Mapping[str, str]  # normalized name -> version
    python: str = ""


def inspect(lock: Lock, folder: Path) -> Verification:
    """Asks the environment in ``folder`` for its versions and imports the lock's modules."""
    python = folder / "bin" / "python"
    try:
        done = subprocess.run(
            [python, "-I", "-c", _INSPECT, json.dumps(lock.preload + lock.imports)],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_IMPORT_LIMIT_SECONDS,
            env=clean_environment({"OMP_NUM_THREADS": "1", **dict(lock.environ)}),
            cwd=folder if folder.is_dir() else None,
        )
        told = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    except (OSError, subprocess.TimeoutExpired) as error:
        return Verification(lock.name, (f"its Python does not run: {error}",), {})
    except ValueError:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        what = f"its Python ended with status {done.returncode}: {last}"
        return Verification(lock.name, (what,), {})
    installed = {normalized(name): version for name, version in told["found"].items()}
    problems = [
        *_python_problem(lock, told["python"]),
        *(p for pin in lock.requirements for p in _pin_problem(pin, installed, lock.python)),
        *(f"module '{name}' cannot be imported: {why}" for name, why in told["failed"].items()),
    ]
    return Verification(lock.name, tuple(problems), installed, told["python"])


def applies(pin: Pin, python: str) -> bool:
    """Whether the pin's marker holds on this platform for that Python minor."""
    if not pin.marker:
        return True
    try:
        return Marker(pin.marker).evaluate({"python_version": python})
    except InvalidMarker:
        return True  # the installer refuses it in its own words


def _python_problem(lock: Lock, found: str) -> list[str]:
    if found.startswith(lock.python + "."):
        return []
    return [f"Python {lock.python} is pinned, {found} is there"]


def _pin_problem(pin: Pin, installed: Mapping[str, str], python: str) -> list[str]:
    if not applies(pin, python):
        return []
    version = installed.get(pin.name)
    if version is None:
        return [f"{pin.name}=={pin.version} is pinned, it is not installed"]
    if not _equal(pin.version, version):
        return [f"{pin.name}=={pin.version} is pinned, {version} is installed"]
    return []


def _equal(pinned: str, version: str) -> bool:
    """PEP 440 equality: ``2.13.0`` admits the build ``2.13.0+cpu``."""
    try:
        return SpecifierSet(f"=={pinned}").contains(version, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return pinned == version
