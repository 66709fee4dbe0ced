"""Small promises about files: atomic writes, fault points, what went wrong in words."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from mlbuild.errors import DataError, MlbuildError

_HALF = re.compile(r"\..*\.([0-9]+)\.tmp", re.S)


def checkpoint(name: str) -> None:
    """A point between two writes. Does nothing; fault tests replace it to die here."""


def write_atomic(path: Path, data: bytes, sync: bool = True) -> None:
    """Replaces a file so that a reader, or the next run after a crash, sees old or new.

    Args:
        path: the file; its folder is made.
        data: the new content.
        sync: survive a power cut too, not only the end of the process.
    """
    if sync:
        sweep(path.parent)
    folder, name = os.path.split(path)
    temporary = f"{folder or '.'}/.{name[:60]}.{os.getpid()}.tmp"
    try:
        try:
            _write(temporary, data, sync)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(temporary, data, sync)
        checkpoint(f"write:{path.name}")
        os.replace(temporary, path)  # noqa: PTH105 - hot
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def sweep(*folders: Path) -> None:
    """Removes what processes that are no more left half-written in folders."""
    for folder in folders:
        with contextlib.suppress(OSError):
            hidden = [name for name in os.listdir(folder) if name[0] == "."]  # noqa: PTH208 - hot
            for name in hidden:
                half = _HALF.fullmatch(name)
                if half and not alive(half[1]):
                    (folder / name).unlink()


def alive(pid: str) -> bool:
    """Whether a process of this machine has that number."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # another user's
    return True


def _write(name: str, data: bytes, sync: bool) -> None:
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
        if sync:
            os.fsync(file)
    finally:
        os.close(file)


def remove(path: Path) -> None:
    """Removes a file, link or folder, also what is write-protected; nothing there is fine."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        if path.is_dir() and not path.is_symlink():
            _remove_folder(path)
        else:
            raise


def _remove_folder(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):  # a stage may leave read-only folders behind
            Path(folder).chmod(stat.S_IRWXU)
        shutil.rmtree(path)


@contextlib.contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """Turns an operating system's error into one a user can act on, keeping its cause."""
    try:
        yield
    except MlbuildError:
        raise
    except OSError as error:
        raise explain(error, doing, Path(error.filename or path)) from error


def explain(error: OSError, doing: str, path: Path) -> DataError:
    """The DataError for an OSError: what was done, to which path, what helps."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = _free(path)
        return DataError(
            f"{doing} failed: no space left for {path} ({free} free)",
            hint="free some space on that filesystem and run again: nothing was half-written",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return DataError(
            f"{doing} failed: {path} is not accessible",
            hint=f"check the permissions, e.g. ls -ld '{path}'",
        )
    if error.errno == errno.EROFS:
        return DataError(f"{doing} failed: {path} is on a read-only filesystem")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        found = _obstacle(path)
        what = f"{found} is in the way" + (f" of {path}" if found != path else "")
        return DataError(f"{doing} failed: {what}", hint="move it away, or choose another path")
    return DataError(f"{doing} failed: {path}: {error.strerror or error}")


def _obstacle(path: Path) -> Path:
    """The file that stands where a path needs a folder."""
    return next((p for p in reversed(path.parents) if p.exists() and not p.is_dir()), path)


def _free(path: Path) -> str:
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        free = float(shutil.disk_usage(path).free)
    except OSError:
        return "an unknown amount"
    for unit in ("B", "kB", "MB", "GB"):
        if free < 1000:
            return f"{free:.0f} {unit}"
        free /= 1000
    return f"{free:.1f} TB"
