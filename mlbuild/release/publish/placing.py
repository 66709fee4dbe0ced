"""Files of a release on this machine's file systems: copied, compared, made to last."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from mlbuild.release.publish.contents import CHUNK, Held, digest
from mlbuild.release.publish.protocol import SIGNATURES, PublishError


def copy(one: Held, target: Path) -> None:
    """A file of the release at another place, verified by reading it back.

    Raises:
        PublishError: what was written is not what was read.
    """
    if same(one, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{one.sha256[:16]}.tmp")
    try:
        with one.file.open("rb") as source, temporary.open("wb") as written:
            shutil.copyfileobj(source, written, CHUNK)
            written.flush()
            os.fsync(written.fileno())
        shutil.copymode(one.file, temporary)
        if digest(temporary) != (one.size, one.sha256):
            raise PublishError(f"{target}: what was written is not what was read")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def same(one: Held, target: Path) -> bool:
    """Whether a file is there with the right bytes."""
    plain = target.is_file() and not target.is_symlink() and target.stat().st_size == one.size
    return plain and digest(target) == (one.size, one.sha256)


def there(folder: Path) -> set[str]:
    """Everything below a folder that is no folder, by path."""
    found = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    return {p.relative_to(folder).as_posix() for p in found}


def differing(folder: Path, held: Sequence[Held], *, published: bool) -> tuple[str, str] | None:
    """The first file in which a folder is not the release, and how; None where it is.

    Args:
        folder: what is compared.
        held: the files of the release.
        published: it is there for all to see; its signature may be another one then.
    """
    free = SIGNATURES if published else frozenset[str]()
    for one in held:
        target = folder / one.path
        if one.path in free:
            continue
        if not os.path.lexists(target):
            return one.path, "it is missing there"
        if not same(one, target):
            return one.path, "it differs"
    extra = sorted(there(folder) - {one.path for one in held} - free)
    return (extra[0], "it is not of this release") if extra else None


def clear(folder: Path, wanted: Collection[str]) -> None:
    """Removes what an interrupted release left in a folder and this one does not hold."""
    for path in there(folder) - set(wanted):
        (folder / path).unlink()
    for path in wanted:
        if (folder / path).is_dir():
            shutil.rmtree(folder / path)
    for below in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # it holds something
            below.rmdir()


def sync(folder: Path) -> None:
    """Makes names in a folder last a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
