"""Downloaded data in the user's cache: made once, complete or absent, read-only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import DataError, Problem
from mlbuild.records import Json
from mlbuild.toolchains.locking import exclusive

_MARKER = "entry.json"  # written last: an entry without it is not complete
_CONTENT = "content"
_USED = "last-use"
_FORMAT = 1
_DIGITS = 16

Facts = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset's folder in the cache, complete or not."""

    folder: Path

    @property
    def content(self) -> Path:
        """Where the data is; nothing else is in there."""
        return self.folder / _CONTENT

    def facts(self) -> Facts | None:
        """What was recorded of the data; None where it is missing, incomplete or changed."""
        try:
            data = json.loads((self.folder / _MARKER).read_text("utf-8"))
            if data["version"] != _FORMAT or data["files"] != listing(self.content):
                return None
            facts: Facts = data["facts"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return facts


def entry(cache: Path, scheme: str, key: Json) -> Entry:
    """The entry of data that ``key`` describes completely."""
    text = json.dumps(key, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return Entry(cache / "data" / f"{scheme}-{digest}")


def obtain(
    wanted: Entry,
    accept: Callable[[Facts], bool],
    make: Callable[[Path], Facts],
    waiting: Callable[[str], None],
) -> Facts:
    """The facts of an entry that is complete, made now where it is not.

    Args:
        wanted: the entry.
        accept: whether facts of a complete entry are those that the caller needs.
        make: fills an empty folder with the data and returns its facts.
        waiting: called with the holder when another process is making it.
    """
    facts = wanted.facts()
    if facts is not None and accept(facts):
        _touch(wanted.folder / _USED)
        return facts
    try:
        with exclusive(_lock_file(wanted.folder), waiting):
            facts = wanted.facts()
            if facts is None or not accept(facts):
                facts = _make(wanted, make)
            return facts
    except OSError as error:
        hint = "free the disk, or move the cache with MLBUILD_CACHE_DIR"
        what = f"the cache folder {wanted.folder} cannot be written"
        raise DataError(Problem(what, got=str(error), hint=hint)) from error


@contextmanager
def downloads(wanted: Entry) -> Iterator[Path]:
    """A folder for what arrives; after a failure it stays, so that a download is continued."""
    folder = wanted.folder.with_name(f"{wanted.folder.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        for left in folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            elif ".part" not in left.suffixes:
                left.unlink(missing_ok=True)  # complete, and yet of no use
        raise
    shutil.rmtree(folder, ignore_errors=True)


def entries(cache: Path) -> list[tuple[Path, float]]:
    """Folder and last use, in seconds since the epoch, of everything that was downloaded."""
    found = []
    for folder in sorted((cache / "data").glob("*")):
        if folder.is_dir():
            marks = (folder / _USED, folder / _MARKER, folder)
            found.append((folder, max(m.stat().st_mtime for m in marks if m.exists())))
    return found


def discard(folder: Path) -> None:
    """Removes an entry, or what a killed attempt left, unless somebody is at it now."""
    lock = _lock_file(folder.with_name(folder.name.removesuffix(".parts")))
    with exclusive(lock, lambda _: None):
        if folder.is_dir():
            aside = _sibling(folder)
            folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)


def listing(folder: Path) -> list[list[Json]]:
    """[path, size] of each file below ``folder``, sorted."""
    found: list[list[Json]] = []
    stack = [folder]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for item in entries:
                if item.is_dir(follow_symlinks=False):
                    stack.append(Path(item.path))
                else:
                    size = item.stat(follow_symlinks=False).st_size
                    found.append([Path(item.path).relative_to(folder).as_posix(), size])
    return sorted(found)


def _make(wanted: Entry, make: Callable[[Path], Facts]) -> Facts:
    for left in wanted.folder.parent.glob(f".{wanted.folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True)  # of a killed attempt: the lock is ours
    scratch = Entry(_sibling(wanted.folder))
    try:
        scratch.content.mkdir(parents=True)
        facts = make(scratch.content)
        _protect(scratch.content)
        data = {"version": _FORMAT, "facts": facts, "files": listing(scratch.content)}
        with (scratch.folder / _MARKER).open("w", encoding="utf-8") as file:
            json.dump(data, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        if wanted.folder.exists():
            aside = _sibling(wanted.folder)
            wanted.folder.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        scratch.folder.rename(wanted.folder)
    finally:
        shutil.rmtree(scratch.folder, ignore_errors=True)
    return facts


def _lock_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def _touch(mark: Path) -> None:
    """Notes a use. A shared cache may be read-only; then nobody asks for its last use."""
    with contextlib.suppress(OSError):
        mark.touch()


def _sibling(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")


def _protect(folder: Path) -> None:
    """Makes files read-only; the caller's data is everybody's. Drops setuid and the like."""
    for path, _ in listing(folder):
        file = folder / path
        if not file.is_symlink():
            file.chmod(0o555 if file.stat().st_mode & 0o100 else 0o444)
