"""Making one toolchain in a folder: interpreter, packages, proof, scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import Problem, ToolchainError
from mlbuild.toolchains.footprint import size_of
from mlbuild.toolchains.inspection import inspect
from mlbuild.toolchains.install import install, repoint
from mlbuild.toolchains.interpreters import find
from mlbuild.toolchains.packageindex import configured
from mlbuild.toolchains.pins import Lock


@dataclass(frozen=True, slots=True)
class Made:
    """What is in a new environment."""

    python: str  # "3.11.7"
    installer: str  # "uv" or "pip"
    bytes: int
    packages: Mapping[str, str]  # name -> version


def make(
    lock: Lock, scratch: Path, final: Path, *, offline: bool, say: Callable[[str], None]
) -> Made:
    """Makes the environment in ``scratch``, ready to be renamed to ``final``.

    Raises:
        ToolchainError: it could not be made, or is not what the lock says.
    """
    interpreter = find(lock.python, offline=offline, say=say)
    installer = install(lock, interpreter, scratch, index=configured(), offline=offline, say=say)
    say("verifying")
    found = inspect(lock, scratch)
    if found.problems:
        problem = Problem(
            f"toolchain '{lock.name}': what was installed is not what its lock says",
            got="\n    ".join(found.problems),
            hint="`pip config list` shows which package index and constraints are in force",
        )
        raise ToolchainError(problem)
    repoint(scratch, final)
    return Made(found.python, installer, size_of(scratch), found.installed)
