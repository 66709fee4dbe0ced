"""Making one environment: the interpreter, the packages, paths that survive a rename."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mlbuild.errors import Problem, ToolchainError, UsageError
from mlbuild.toolchains.commands import clean_environment, run, uv_binary
from mlbuild.toolchains.hashes import with_hashes
from mlbuild.toolchains.interpreters import Interpreter
from mlbuild.toolchains.packageindex import PackageIndex
from mlbuild.toolchains.pins import Lock, Pin

Say = Callable[[str], None]

# First words of lines that tell a user something; the rest are lists of packages.
_TOLD = ("Resolved", "Prepared", "Installed", "Building", "Built", "Downloading", "Downloaded")
_SHOWN_OF_FAILURE = 12  # lines of the installer's output in an error
_TAMPERED = ("hash mismatch", "do not match the hashes")  # in uv's words, in pip's
_OTHER_FILE = (
    "an index or find-links of yours offers another file under a name of the lock: remove it there"
)
_SCRIPT_LIMIT = 1 << 20  # bytes; what is larger in bin/ is a program, not a script


def choice(environ: Mapping[str, str]) -> str | None:
    """What ``MLBUILD_INSTALLER`` says: uv, pip, or None for uv and then pip."""
    chosen = environ.get("MLBUILD_INSTALLER", "")
    if chosen not in ("", "uv", "pip"):
        problem = Problem("MLBUILD_INSTALLER names no installer", got=chosen, allowed=("uv", "pip"))
        raise UsageError(problem)
    return chosen or None


def install(
    lock: Lock,
    interpreter: Interpreter,
    folder: Path,
    *,
    index: PackageIndex,
    offline: bool,
    say: Say,
) -> str:
    """Makes an environment with the lock's packages in ``folder``.

    Returns:
        The installer that did it.

    Raises:
        ToolchainError: no installer could.
    """
    chosen, uv = choice(os.environ), uv_binary()
    requirements = folder.with_name(folder.name + ".txt")
    _write(requirements, with_hashes(lock))
    failures: list[tuple[str, list[str]]] = []
    try:
        if uv is not None and chosen != "pip":
            say(f"installing {_packages(lock)}")
            tail = _with_uv(uv, lock, interpreter, folder, requirements, index, offline, say)
            if tail is None:
                return "uv"
            failures.append(("uv", tail))
        if chosen != "uv" and not offline:
            say("uv failed, trying pip" if failures else f"installing {_packages(lock)} with pip")
            tail = _with_pip(lock, interpreter, folder, requirements, index, say)
            if tail is None:
                return "pip"
            failures.append(("pip", tail))
    finally:
        requirements.unlink(missing_ok=True)
    raise ToolchainError(_failed(lock, failures, index, offline))


def repoint(folder: Path, final: Path) -> None:
    """Rewrites scripts that name their own environment, before it is renamed.

    A virtual environment is not relocatable: the first lines of its scripts, the activation
    scripts and ``pyvenv.cfg`` hold its absolute path.
    """
    old, new = os.fsencode(folder), os.fsencode(final)
    for path in [folder / "pyvenv.cfg", *sorted((folder / "bin").iterdir())]:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _SCRIPT_LIMIT:
            continue
        content = path.read_bytes()
        if old in content:
            mode = path.stat().st_mode
            path.unlink()  # it may be linked with the installer's own cache
            path.write_bytes(content.replace(old, new))
            path.chmod(mode)


def _with_uv(
    uv: Path,
    lock: Lock,
    interpreter: Interpreter,
    folder: Path,
    requirements: Path,
    index: PackageIndex,
    offline: bool,
    say: Say,
) -> list[str] | None:
    """None when it worked, else the last lines that uv wrote."""
    environ = clean_environment(index.uv_environment(os.environ))
    common = ["--offline"] if offline else []
    # Away from the caller's folder, whose pyproject.toml could reconfigure uv.
    make = [str(uv), "venv", "--no-project", "--python", str(interpreter.path), str(folder)]
    code, tail = run([*make, *common], environ, _selected(index, say), cwd=folder.parent)
    if code == 0:
        put = [str(uv), "pip", "install", "--python", str(folder / "bin" / "python")]
        # Stages never write bytecode (they may not own the environment), so it is made once here.
        put += ["--compile-bytecode", "-r", str(requirements), *common]
        # Hashes are verified where there are any. What a pin asks for beside the pins has none:
        # CUDA libraries of a Linux torch that is no CPU build.
        put += ["--no-deps", "--require-hashes"] if lock.closed else []
        put += ["--no-index"] if index.no_index else []
        code, tail = run(put, environ, _selected(index, say), cwd=folder.parent)
    return None if code == 0 else tail or [f"uv ended with status {code}"]


def _with_pip(
    lock: Lock,
    interpreter: Interpreter,
    folder: Path,
    requirements: Path,
    index: PackageIndex,
    say: Say,
) -> list[str] | None:
    """None when it worked, else the last lines that pip wrote."""
    environ = clean_environment(index.pip_environment())
    tell = _selected(index, say)
    make = [str(interpreter.path), "-m", "venv", "--clear", "--without-pip", str(folder)]
    code, tail = run(make, environ, tell)
    if code:
        return tail or [f"venv ended with status {code}"]
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip"]
    code, tail = run([python, "-m", "ensurepip", "--default-pip"], environ, tell)
    if code:  # distributions take ensurepip out of their Python: lend the engine's own pip
        pip = [sys.executable, "-m", "pip", "--python", python]
    put = [*pip, "install", "--no-input", "--disable-pip-version-check", "-r", str(requirements)]
    if lock.hashes is not None:
        # pip wants a hash of everything or of nothing, so what has none comes afterwards.
        code, tail = run([*put, "--no-deps", "--require-hashes"], environ, tell, cwd=folder.parent)
        if code or lock.closed:
            return None if code == 0 else tail or [f"pip ended with status {code}"]
        _write(requirements, lock.requirements)
    code, tail = run(put, environ, tell, cwd=folder.parent)
    return None if code == 0 else tail or [f"pip ended with status {code}"]


def _selected(index: PackageIndex, say: Say) -> Say:
    """``say`` for the lines of an installer that tell something, without secrets."""

    def tell(line: str) -> None:
        text = line.strip()
        if not text or text.startswith(_TOLD):
            say(index.redact(text))

    return tell


def _write(requirements: Path, pins: Iterable[Pin]) -> None:
    requirements.write_text("".join(f"{pin.requirement()}\n" for pin in pins), "utf-8")


def _packages(lock: Lock) -> str:
    count = len(lock.requirements)
    return f"{count} package{'s' if count != 1 else ''}"


def _failed(
    lock: Lock, failures: list[tuple[str, list[str]]], index: PackageIndex, offline: bool
) -> Problem:
    shown = [
        f"{name}: {index.redact(line)}"
        for name, tail in failures
        for line in tail[-_SHOWN_OF_FAILURE:]
    ]
    if not shown:
        shown = ["neither uv nor pip may be used"]
    hint = "`mlbuild doctor` checks Python, index and disk; `pip config list` shows the index"
    if offline:
        hint = f"run `mlbuild toolchains --make {lock.name}` once without --offline"
    if any("No space left" in line for line in shown):
        hint = "free some space on the disk, or move the cache with MLBUILD_CACHE_DIR"
    if any(sign in line.lower() for line in shown for sign in _TAMPERED):
        hint = _OTHER_FILE
    what = f"toolchain '{lock.name}': its packages could not be installed"
    return Problem(what, got="\n    ".join(shown), hint=hint)
