"""Finding a Python of one exact minor version, where people have them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import Problem, ToolchainError
from mlbuild.toolchains.commands import clean_environment, run, uv_binary

# A shim of pyenv answers only where its version is chosen, so what a candidate is, it must say.
_PROBE = (
    "import json, platform, sys, sysconfig; print(json.dumps({"
    "'version': list(sys.version_info[:3]),"
    "'base': getattr(sys, '_base_executable', None) or sys.executable,"
    "'plain': platform.python_implementation() == 'CPython'"
    " and not sysconfig.get_config_var('Py_GIL_DISABLED')}))"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python outside of any virtual environment."""

    path: Path
    version: str  # "3.11.7"


def find(minor: str, *, offline: bool, say: Callable[[str], None]) -> Interpreter:
    """An interpreter of that minor version, downloaded by uv where the machine has none.

    Raises:
        ToolchainError: there is none, and none could be downloaded.
    """
    found = installed(minor)
    if found is None and not offline and (uv := uv_binary()) is not None:
        say(f"downloading Python {minor}")
        code, tail = run([str(uv), "python", "install", minor], clean_environment(), say)
        found = _first(minor, _of_uv(minor))
        if found is None:
            raise ToolchainError(_missing(minor, tail[-1] if code and tail else None))
    if found is None:
        raise ToolchainError(_missing(minor, "--offline forbids downloading it" * offline or None))
    return found


def installed(minor: str) -> Interpreter | None:
    """An interpreter of that minor version that this machine already has."""
    return _first(minor, _candidates(minor))


def probe(path: Path) -> Interpreter | None:
    """What the program at ``path`` is; None where it is no ordinary CPython."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=30,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
        )
        told = json.loads(done.stdout)
        if not told["plain"]:
            return None
        return Interpreter(Path(told["base"]), ".".join(str(n) for n in told["version"]))
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None


def _first(minor: str, paths: Iterator[Path]) -> Interpreter | None:
    seen: set[Path] = set()
    for path in paths:
        if path in seen or not os.access(path, os.X_OK):
            continue
        seen.add(path)
        found = probe(path)
        if found is not None and found.version.startswith(minor + "."):
            return found
    return None


def _candidates(minor: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(int(n) for n in minor.split(".")):
        yield Path(sys.executable)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder) / f"python{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from _newest(pyenv / "versions", f"{minor}.*", f"bin/python{minor}")
    yield from _of_uv(minor)
    for folder in ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin"):
        yield Path(folder) / f"python{minor}"


def _of_uv(minor: str) -> Iterator[Path]:
    own = os.environ.get("UV_PYTHON_INSTALL_DIR")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    folder = Path(own) if own else data / "uv" / "python"
    yield from _newest(folder, f"cpython-{minor}.*", f"bin/python{minor}")


def _newest(folder: Path, pattern: str, program: str) -> Iterator[Path]:
    def version(path: Path) -> list[int]:
        return [int(n) for n in re.findall(r"\d+", path.name)]

    for version_folder in sorted(folder.glob(pattern), key=version, reverse=True):
        yield version_folder / program


def _missing(minor: str, reason: str | None) -> Problem:
    return Problem(
        f"no Python {minor} was found",
        got=reason,
        hint=f"install one with `uv python install {minor}` or `pyenv install {minor}`",
    )
