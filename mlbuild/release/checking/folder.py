"""What lies in a release folder: every file read once, links and special files never followed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mlbuild.errors import DataError, Problem
from mlbuild.records import Progress
from mlbuild.release.checking.finding import shown
from mlbuild.release.checking.strict_json import MAX_BYTES

_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """A regular file as it was read."""

    size: int
    sha256: str
    md5: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A release folder; paths are relative to it, with '/'."""

    path: Path
    files: Mapping[str, Seen] = field(default_factory=dict)
    strange: Mapping[str, str] = field(default_factory=dict)  # path -> "a link", "a pipe", ...
    empty: tuple[str, ...] = ()  # folders that hold nothing

    def document(self, name: str) -> bytes:
        """The bytes of a document, which are those that its digest was made of.

        Raises:
            ValueError: too large; the message completes "manifest.json ...".
        """
        if self.files[name].size > MAX_BYTES:
            raise ValueError(f"is larger than {MAX_BYTES >> 20} MiB")
        with _opened(self.path / name) as stream:
            data = stream.read(MAX_BYTES + 1)
        if hashlib.sha256(data).hexdigest() != self.files[name].sha256:
            raise ValueError("changed while it was read")
        return data


def look(path: Path, progress: Progress | None = None) -> Folder:
    """Reads a release folder.

    Raises:
        DataError: it is no folder, or something in it cannot be read.
    """
    path = path.resolve()  # the folder itself may be reached through a link, `latest`
    if not path.is_dir():
        raise DataError(Problem(f"{path} is no folder", hint="name the folder of a release"))
    regular, strange, empty = _listed(path)
    files: dict[str, Seen] = {}
    for name in sorted(regular):
        if progress:
            progress(len(files), len(regular), name)
        files[name] = _read(path / name)
    return Folder(path, files, strange, tuple(sorted(empty)))


def _listed(path: Path) -> tuple[list[str], dict[str, str], list[str]]:
    """Regular files; other things and what they are; empty folders."""
    regular: list[str] = []
    strange: dict[str, str] = {}
    empty: list[str] = []
    open_folders = [""]  # no recursion: an attacker's folders may be a thousand deep
    while open_folders:
        prefix = open_folders.pop()
        entries = _entries(path / prefix)
        if not entries and prefix:
            empty.append(prefix.rstrip("/"))
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                strange[name] = f"a link to {Path(entry.path).readlink()}"
            elif entry.is_dir(follow_symlinks=False):
                open_folders.append(f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                regular.append(name)
            else:
                strange[name] = _kind(entry.stat(follow_symlinks=False).st_mode)
    return regular, strange, empty


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise DataError(f"{shown(str(folder))} cannot be read: {error.strerror}") from error


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _read(path: Path) -> Seen:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with _opened(path) as stream:
            while chunk := stream.read(_BUFFER):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise DataError(f"{shown(str(path))} cannot be read: {error.strerror}") from error
    return Seen(size, sha256.hexdigest(), md5.hexdigest())


def _opened(path: Path) -> IO[bytes]:
    # Not through a link, nor waiting at a pipe, that took the file's place since it was listed.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags), "rb")
