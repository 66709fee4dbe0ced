"""One release of a name at a time in a checkout; a second one is refused and told who is at it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from mlbuild.errors import DataError, Problem
from mlbuild.store.files import explained


@contextlib.contextmanager
def alone(file: Path) -> Iterator[None]:
    """Holds the file; the system lets go of it whatever becomes of the process.

    Raises:
        DataError: another process holds it.
    """
    with explained("locking the release", file):
        file.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = "another release is running in this checkout"
            got = os.pread(held, 1000, 0).decode("utf-8", "replace").strip() or None
            hint = "wait for it, and release again: it says what is left to do"
            raise DataError(Problem(what, got=got, hint=hint)) from None
        me = f"pid {os.getpid()}: {shlex.join(['mlbuild', *sys.argv[1:]])}\n"
        os.ftruncate(held, 0)
        os.pwrite(held, me.encode("utf-8", "surrogateescape"), 0)
        yield
    finally:
        os.close(held)
