"""Small files, each read once: hashed, kept under its digest, brought back.

Also a program, `python -I -S small.py`: threads of one Python stand in each other's way where the
work is a handful of system calls a file, so that many files go to processes (`workers.py`). Started
anew rather than forked: safe from any thread, on macOS too. Standard library only.

A function answers None for whatever is not plain and at rest: its caller then does that file by
the long way, which has the words for what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from hashlib import md5
from stat import S_ISREG
from typing import Any

LARGE = 1 << 20  # bytes; from here on a file is not read in one piece
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe that took a file's place must not block
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def rows(names: Sequence[str]) -> list[tuple[int, int, int, int, str] | None]:
    """Size, mtime, ctime, inode and MD5 of each file."""
    found: list[tuple[int, int, int, int, str] | None] = []
    for name in names:
        got = read(name)
        if got is None:
            found.append(None)
            continue
        data, stat = got
        digest = md5(data, usedforsecurity=False).hexdigest()
        found.append((stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, digest))
    return found


def keep(
    files: str, temporary: str, jobs: Sequence[tuple[str, str | None]]
) -> list[tuple[str, int, bool] | None]:
    """Puts files into an object cache: MD5, size and whether it is executable, of each.

    Args:
        files: where objects lie, by their digest.
        temporary: a prefix of names that nobody else uses, on the same filesystem.
        jobs: path, and the MD5 it must have (None: whatever it has).
    """
    kept: list[tuple[str, int, bool] | None] = []
    for number, (name, expected) in enumerate(jobs):
        got = read(name)
        kept.append(None)
        if got is None:
            continue
        data, stat = got
        digest = md5(data, usedforsecurity=False).hexdigest()
        # What is written is what was hashed: the name is right whatever happens to the file.
        if expected in (None, digest) and write(f"{temporary}{number}", data, 0o444):
            _name(f"{temporary}{number}", f"{files}/{digest[:2]}", digest[2:])
            kept[-1] = (digest, stat.st_size, bool(stat.st_mode & 0o111))
    return kept


def bring(files: str, jobs: Sequence[tuple[str, str, bool]]) -> list[bool | None]:
    """Copies objects out of a cache, verified; the target must not exist.

    Args:
        files: where objects lie.
        jobs: MD5, where to, and whether it is executable.
    """
    brought: list[bool | None] = []
    for digest, to, isexec in jobs:
        got = read(f"{files}/{digest[:2]}/{digest[2:]}")
        right = got is not None and md5(got[0], usedforsecurity=False).hexdigest() == digest
        done = got is not None and right and write(to, got[0], 0o777 if isexec else 0o666)
        brought.append(done or None)
    return brought


def _name(temporary: str, folder: str, name: str) -> None:
    try:
        os.replace(temporary, f"{folder}/{name}")  # noqa: PTH105
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        os.replace(temporary, f"{folder}/{name}")  # noqa: PTH105


def read(name: str) -> tuple[bytes, os.stat_result] | None:
    """A file's bytes and the stat data that belong to them."""
    try:
        file = os.open(name, _READ)
    except OSError:
        return None
    try:
        before = os.fstat(file)
        if before.st_size >= LARGE or not S_ISREG(before.st_mode):
            return None
        data = os.read(file, before.st_size + 1)
        after = os.fstat(file)
    except OSError:
        return None
    finally:
        os.close(file)
    still = (before.st_mtime_ns, before.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    return (data, after) if still and len(data) == after.st_size == before.st_size else None


def write(name: str, data: bytes, mode: int) -> bool:
    """A new file; False, and nothing there, where that did not work."""
    try:
        file = os.open(name, _NEW, mode)
    except OSError:
        return False
    whole = False
    try:
        whole = os.write(file, data) == len(data)
        if mode == 0o444:  # the umask must not take an object's rights away
            os.fchmod(file, mode)
    except OSError:
        whole = False
    finally:
        os.close(file)
        if not whole:
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108
    return whole


def serve() -> None:
    """Answers requests on standard input until it is closed."""
    import marshal  # only this program speaks it

    tasks: dict[str, Any] = {"rows": rows, "keep": keep, "bring": bring}
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(8)) == 8:
        name, arguments = marshal.loads(source.read(int.from_bytes(head, "big")))
        answer = marshal.dumps(tasks[name](*arguments))
        target.write(len(answer).to_bytes(8, "big") + answer)
        target.flush()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks; it closes us
    serve()
