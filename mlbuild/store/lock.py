"""Locks: one for each pipeline while it is built, and DVC's own while the ledger is written.

Every build also holds the gate of its checkout, together with all others; `mlbuild gc` holds it
alone, so that nothing is deleted under a build, not even one whose pipeline is new.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlbuild.store.files import explained
from mlbuild.store.init import dvc_config, dvc_folder

OnWait = Callable[[str], None]

_POLL_SECONDS = 0.05
_YES = ("true", "yes", "on", "1")
_GATE = "gate"


@contextlib.contextmanager
def pipeline_lock(file: Path, on_wait: OnWait | None = None) -> Iterator[int]:
    """Holds a pipeline against other builds of it, as long as the descriptor that it gives is open.

    Args:
        file: the lock file; it tells who holds it.
        on_wait: called once with a sentence about the holder if somebody else has it.
    """
    with using(file.parent, on_wait):
        with explained("locking the pipeline", file):
            fd = _acquire(file, lambda: on_wait and on_wait(holder(file)))
        with _signed(fd):
            yield fd


@contextlib.contextmanager
def using(folder: Path, on_wait: OnWait | None = None) -> Iterator[None]:
    """Keeps `mlbuild gc` out, and nobody else, while results are made or read.

    Args:
        folder: `.mlbuild/locks` of the checkout.
        on_wait: called once with a sentence about the one that is deleting.
    """
    file = folder / _GATE
    with explained("locking the project", file):
        folder.mkdir(parents=True, exist_ok=True)
        fd = _acquire(file, lambda: on_wait and on_wait(holder(file)), fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def alone(folder: Path, on_wait: OnWait | None = None) -> Iterator[None]:
    """Keeps every build of a checkout out; waits for those that are running.

    Args:
        folder: `.mlbuild/locks` of the checkout.
        on_wait: called once with a sentence about those that are building.
    """

    def told() -> None:
        if on_wait:
            names = [f"{name} is {who}" for name, who in running(folder).items()]
            on_wait(f"waiting for builds: {'; '.join(names) or 'held by another process'}")

    with explained("locking the project", folder / _GATE):
        folder.mkdir(parents=True, exist_ok=True)
        fd = _acquire(folder / _GATE, told)
    with _signed(fd):
        yield


def running(folder: Path) -> dict[str, str]:
    """The pipelines that are being built now, by their locks' names, and by whom."""
    found = {}
    for file in sorted(folder.glob("*.lock")):
        facts = _facts(file)
        if facts and _alive(facts.get("pid")):
            found[file.stem] = holder(file)
    return found


def holder(file: Path) -> str:
    """Who holds a pipeline, for people."""
    try:
        facts = _facts(file) or {}
        since = time.strftime("%H:%M:%S", time.localtime(facts["since"]))
        return f"held by pid {facts['pid']} since {since} ({facts['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "held by another process"


@contextlib.contextmanager
def dvc_lock(root: Path, on_wait: OnWait | None = None) -> Iterator[None]:
    """Holds the lock that DVC's own commands take: the same file, flocked in the same way."""
    file = (dvc_folder(root) or root / ".dvc") / "tmp" / "lock"
    with explained("locking the DVC repository", file):
        file.parent.mkdir(parents=True, exist_ok=True)
    if dvc_config(root).get("core", {}).get("hardlink_lock", "").lower() in _YES:
        with _hardlink_lock(file, on_wait):
            yield
        return
    with explained("locking the DVC repository", file):
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    told = False
    try:
        while not _try(fd):
            if on_wait and not told:
                on_wait(f"waiting for DVC's lock {file}, held by pid {_pid(file)}")
                told = True
            time.sleep(_POLL_SECONDS)
        with contextlib.suppress(OSError):  # the lock holds without a name too
            os.ftruncate(fd, 0)
            os.pwrite(fd, f" {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def _hardlink_lock(file: Path, on_wait: OnWait | None) -> Iterator[None]:
    """The lock of those whose filesystem has no flock: DVC's own code, since few have it."""
    from dvc.lock import LockError, make_lock  # type: ignore[import-untyped]  # lazy: 0.5 CPU s

    lock = make_lock(str(file), tmp_dir=str(file.parent), hardlink_lock=True, wait=False)
    told = False
    while True:
        try:
            lock.lock()
            break
        except LockError:
            if on_wait and not told:
                on_wait(f"waiting for DVC's lock {file}; where no DVC is running, delete it")
                told = True
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        lock.unlock()


@contextlib.contextmanager
def _signed(fd: int) -> Iterator[None]:
    """Says in a lock that we hold who we are, until we let it go."""
    try:
        me = {"pid": os.getpid(), "command": shlex.join(_command()), "since": time.time()}
        with contextlib.suppress(OSError):  # the lock holds without a name too
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(me).encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)


def _facts(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _alive(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # another user's
    return True


def _acquire(file: Path, waits: Callable[[], object], how: int = fcntl.LOCK_EX) -> int:
    told = False
    while True:
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if not _try(fd, how):
            if not told:
                waits()
                told = True
            fcntl.flock(fd, how)
        if _is(fd, file):
            return fd
        os.close(fd)  # the file was deleted while we waited: hold the new one


def _try(fd: int, how: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(fd: int, file: Path) -> bool:
    try:
        return file.stat().st_ino == os.fstat(fd).st_ino
    except FileNotFoundError:
        return False


def _pid(file: Path) -> str:
    try:
        return file.read_text().strip() or "unknown"
    except (OSError, ValueError):
        return "unknown"


def _command() -> list[str]:
    return [Path(sys.argv[0]).name or "python", *sys.argv[1:]]
