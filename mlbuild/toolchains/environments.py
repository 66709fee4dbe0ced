"""Toolchains on disk: made on first use, shared between projects, listed, verified, removed."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild.errors import Problem, ToolchainError, UsageError, did_you_mean
from mlbuild.records import Progress, ToolchainSpec
from mlbuild.toolchains import pins
from mlbuild.toolchains.footprint import size_of
from mlbuild.toolchains.locking import exclusive, is_held
from mlbuild.toolchains.pins import Lock
from mlbuild.toolchains.places import cache_dir

if TYPE_CHECKING:
    from mlbuild.toolchains.making import Made

_MARKER = "mlbuild-toolchain.json"  # written last: an environment without it is not complete
_USED = "mlbuild-last-use"
_FORMAT = 1
_DIGITS = 12
_ROOM = "free the disk, or move the cache with MLBUILD_CACHE_DIR"
_MADE = re.compile(rf"(?P<name>.+)-(?P<digest>[0-9a-f]{{{_DIGITS}}})")


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of ``mlbuild toolchains``."""

    name: str  # of a state "old": the folder's name
    # "ready", "not made", "not here" (it does not exist for this platform), "broken", or "old" (no
    # lock of this project names it)
    state: str
    python: str
    size: int | None  # bytes that it takes
    last_use: float | None  # seconds since the epoch
    path: Path
    needs: int | None = None  # bytes that it will take, of one that is not made


class Toolchains:
    """The toolchains that ship with mlbuild and those that one pipeline file defines."""

    def __init__(
        self,
        root: Path,
        custom: Mapping[str, ToolchainSpec],
        cache: Path | None = None,
        offline: bool = False,
    ) -> None:
        """Reads nothing yet.

        Args:
            root: the project; paths of requirements are relative to it.
            custom: toolchains of the pipeline file; one may replace a built-in one.
            cache: the user's cache folder, by default ``cache_dir()``.
            offline: nothing may be downloaded.
        """
        self._root = root
        self._custom = dict(custom)
        self.folder = (cache or cache_dir()) / "toolchains"
        self._offline = offline
        self._locks: dict[str, Lock] = {}

    def names(self) -> tuple[str, ...]:
        """Every name that a stage may give."""
        return tuple(sorted({*pins.builtin_names(), *self._custom}))

    def lock(self, name: str) -> Lock:
        """What the toolchain consists of."""
        if name not in self._locks:
            if name in self._custom:
                self._locks[name] = pins.custom(self._custom[name], self._root)
            elif name in pins.builtin_names():
                self._locks[name] = pins.builtin(name)
            else:
                raise UsageError(_unknown(name, self.names()))
        return self._locks[name]

    def digest(self, name: str) -> str:
        """What enters the key of a stage that uses it."""
        return self.lock(name).digest

    def path(self, name: str) -> Path:
        """Where its environment is or would be."""
        plain = re.sub(r"[^A-Za-z0-9_.+-]", "-", name).lstrip(".-") or "toolchain"
        return self.folder / f"{plain}-{self.digest(name)[:_DIGITS]}"

    def python(self, name: str) -> Path | None:
        """Its interpreter, or None while it is not made."""
        folder = self.path(name)
        return _interpreter(folder) if _complete(folder, self.digest(name)) else None

    def ensure(self, name: str, progress: Progress) -> Path:
        """Its interpreter; the environment is made first where it is missing.

        Raises:
            ToolchainError: it could not be made. Nothing half made is left behind.
        """
        lock, folder = self.lock(name), self.path(name)
        if self.python(name) is None:
            say = _narrator(name, progress)
            try:
                with exclusive(_lock_file(folder), lambda who: say(f"{who} is making it, waiting")):
                    self._sweep(folder)
                    if self.python(name) is None:
                        self._make(lock, folder, say)
            except OSError as error:
                what = f"toolchain '{name}' could not be made"
                problem = Problem(what, got=str(error), hint=_ROOM)
                raise ToolchainError(problem) from error
        _touch(folder / _USED)
        return _interpreter(folder)

    def exists_here(self, name: str) -> bool:
        """Whether it can be made on this platform."""
        return _exists_here(self.lock(name))

    def verify(self, name: str) -> tuple[str, ...]:
        """What differs from the lock, and modules that fail to import; empty when all is well."""
        from mlbuild.toolchains.inspection import inspect

        if self.python(name) is None:
            return ("it is not made",)
        return inspect(self.lock(name), self.path(name)).problems

    def listing(self) -> list[Listed]:
        """Each toolchain of the project, then environments that no lock names any more."""
        listed = []
        for name in self.names():
            folder, lock = self.path(name), self.lock(name)
            state = "not made" if _exists_here(lock) else "not here"
            if folder.is_dir():
                state = "ready" if self.python(name) is not None else "broken"
            needs = lock.size_mb * 10**6 if state == "not made" else None
            listed.append(replace(_listed(name, state, lock.python, folder), needs=needs))
        known = {entry.path for entry in listed}
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if folder not in known and _MADE.fullmatch(folder.name) and folder.is_dir():
                listed.append(_listed(folder.name, "old", "", folder))
        return listed

    def remove(self, name: str) -> int:
        """Removes an environment, by a toolchain's name or a folder's name.

        Returns:
            The bytes that were freed; 0 where there was none.
        """
        old = _MADE.fullmatch(name) and name not in self.names()
        folder = self.folder / name if old else self.path(name)
        if not folder.is_dir():
            return 0
        size = size_of(folder)
        with exclusive(_lock_file(folder), lambda _: None):
            _discard(folder)
        return size

    def _make(self, lock: Lock, folder: Path, say: Callable[[str], None]) -> None:
        _require_platform(lock)
        _require_space(folder.parent, lock)
        started = time.monotonic()
        scratch = folder.with_name(f".{folder.name}.making-{secrets.token_hex(4)}")
        # Lazy, as in verify: planning asks for digests only, and must not pay for installers.
        from mlbuild.toolchains.making import make

        try:
            made = make(lock, scratch, folder, offline=self._offline, say=say)
            _mark(scratch, lock, made)
            _discard(folder)  # there is one only where it was broken
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if lock.name in self._custom:
            _tell_unpinned(lock, made.packages, say)
        say(f"ready, {made.bytes / 1e6:.0f} MB in {time.monotonic() - started:.0f} s")

    def _sweep(self, mine: Path) -> None:
        """Clears away what killed attempts left, unless another process is still at it."""
        for left in self.folder.glob(".*"):
            final = re.match(r"\.(.+)\.(?:making|removing)-", left.name)
            if final is None:
                continue
            if final[1] == mine.name or not is_held(_lock_file(self.folder / final[1])):
                _delete(left)


def _narrator(name: str, progress: Progress) -> Callable[[str], None]:
    """Says lines with the toolchain's name, and the last one with its time while all is silent."""
    started, last = time.monotonic(), ""

    def say(text: str) -> None:
        nonlocal last
        elapsed = time.monotonic() - started
        last = text or last
        shown = f"{name}: {last}" if text else f"{name}: {last} ({elapsed:.0f} s)"
        progress(elapsed, None, shown)

    return say


def _lock_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _interpreter(folder: Path) -> Path:
    return folder / "bin" / "python"


def _machine() -> str:
    return f"{sys.platform}-{platform.machine()}"


def _marker(folder: Path) -> dict[str, object]:
    try:
        data = json.loads((folder / _MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _complete(folder: Path, digest: str) -> bool:
    data = _marker(folder)
    wanted = {"version": _FORMAT, "digest": digest, "machine": _machine()}
    # The interpreter is a link to one outside, which its owner may have removed.
    return wanted.items() <= data.items() and _interpreter(folder).exists()


def _mark(folder: Path, lock: Lock, made: Made) -> None:
    data = {
        "version": _FORMAT,
        "name": lock.name,
        "digest": lock.digest,
        "machine": _machine(),
        "python": made.python,
        "installer": made.installer,
        "bytes": made.bytes,
        "packages": dict(sorted(made.packages.items())),
    }
    with (folder / _MARKER).open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _listed(name: str, state: str, python: str, folder: Path) -> Listed:
    data = _marker(folder)
    size = data.get("bytes") if state in ("ready", "old") else None
    if not isinstance(size, int):
        size = size_of(folder) if folder.is_dir() else None
    try:
        used: float | None = (folder / _USED).stat().st_mtime
    except OSError:
        used = None
    return Listed(name, state, str(data.get("python") or python), size, used, folder)


def _touch(path: Path) -> None:
    # A shared cache may be read-only; then nobody asks for its last use.
    with contextlib.suppress(OSError):
        path.touch()


def _discard(folder: Path) -> None:
    """Removes a folder in such a way that half of it is never taken for the whole."""
    if not folder.exists():
        return
    aside = folder.with_name(f".{folder.name}.removing-{secrets.token_hex(4)}")
    folder.rename(aside)
    _delete(aside)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _exists_here(lock: Lock) -> bool:
    return not lock.platforms or _machine() in lock.platforms


def _require_platform(lock: Lock) -> None:
    if not _exists_here(lock):
        problem = Problem(
            f"toolchain '{lock.name}' does not exist for this machine",
            got=_machine(),
            allowed=lock.platforms,
            hint="build its stages on such a machine; `mlbuild push` and `pull` share results",
        )
        raise ToolchainError(problem)


def _require_space(folder: Path, lock: Lock) -> None:
    free = shutil.disk_usage(folder).free / 1e6
    if free < lock.size_mb:
        problem = Problem(
            f"toolchain '{lock.name}': not enough space in {folder}",
            got=f"{free:.0f} MB free, about {lock.size_mb} MB needed",
            hint=_ROOM,
        )
        raise ToolchainError(problem)


def _tell_unpinned(lock: Lock, packages: Mapping[str, str], say: Callable[[str], None]) -> None:
    extra = sorted(set(packages) - {p.name for p in lock.requirements} - {"pip"})
    if extra:
        say(f"also installed, without a pin of yours: {', '.join(extra)}")


def _unknown(name: str, names: tuple[str, ...]) -> Problem:
    return Problem(f"unknown toolchain '{name}'", allowed=names, hint=did_you_mean(name, names))
