"""One process at a time: a lock file that the kernel frees when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}
_POLL_SECONDS = 0.1


@contextmanager
def exclusive(path: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Holds ``path`` as a lock.

    Args:
        path: the lock file; made where it is missing and never removed, since a removed lock file
            could be held twice.
        waiting: called once with the holder ("process 123") when somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if _acquire(fd, waiting):
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock ``path``."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def _try(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _acquire(fd: int, waiting: Callable[[str], None]) -> bool:
    """Whether the file system has locks; without them everybody builds and the last rename wins."""
    told = False
    while True:
        try:
            if _try(fd):
                return True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise
        if not told:
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            waiting(f"process {pid}" if pid else "another process")
            told = True
        time.sleep(_POLL_SECONDS)  # polled, so that Ctrl-C is heard at once
