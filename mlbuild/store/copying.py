"""Copies of files, sharing bytes where the filesystem can, and the links that copies replace."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from mlbuild.errors import DataError

_FICLONE = 0x40049409
_PIECE = 64 << 20


def clone(source: str, to: str, told: Callable[[int], object] = lambda count: None) -> None:
    """Copies bytes to a new file; shares them where the filesystem can.

    Args:
        source: an existing file.
        to: where nothing is.
        told: of each piece that was copied, how many bytes it had.
    """
    if sys.platform != "linux":
        shutil.copyfile(source, to)  # macOS: clones by itself
        return
    with open(source, "rb") as src, open(to, "xb") as dst:  # noqa: PTH123 - hot
        try:
            fcntl.ioctl(dst.fileno(), _FICLONE, src.fileno())
            return
        except OSError:
            pass  # no reflinks here
        try:
            while count := os.copy_file_range(src.fileno(), dst.fileno(), _PIECE):
                told(count)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            shutil.copyfileobj(src, dst)


def materialize(link: Path) -> None:
    """Replaces a link by a copy of what it points to."""
    if not link.exists():
        raise DataError(
            f"{link} is a link to {str(link.readlink())!r}, which does not exist",
            hint="an output must hold its data itself",
        )
    target = link.resolve()
    link.unlink()
    if target.is_dir():
        shutil.copytree(target, link)
    else:
        shutil.copy2(target, link)


def materialize_all(top: str) -> None:
    """Replaces all links in a folder."""
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in (".git", ".hg", ".dvc")]
        for name in (*folders, *files):
            if os.path.islink(f"{folder}/{name}"):  # noqa: PTH114 - hot
                materialize(Path(folder, name))


def can_share(one: str, two: str) -> bool:
    """Whether a filesystem makes reflinks, tried on two files that are removed again."""
    if sys.platform != "linux":
        return True  # macOS: its own copying decides
    try:
        with open(one, "xb") as source, open(two, "xb") as target:  # noqa: PTH123
            source.write(b"?")
            source.flush()
            fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
            return True
    except OSError:
        return False
    finally:
        for name in (one, two):
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108


def tried(make: Callable[[], object]) -> bool:
    """Whether the operating system did what was asked."""
    try:
        make()
    except OSError:
        return False
    return True


UMASK = os.umask(0o077)  # it can only be read by setting it, which threads must not do
os.umask(UMASK)
