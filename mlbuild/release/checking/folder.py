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
_FOLDER, _FILE = "a folder", "a file"


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
        with opened(self.path / name) as stream:
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
            what = _kind(entry)
            if what == _FOLDER:
                open_folders.append(f"{name}/")
            elif what == _FILE:
                regular.append(name)
            else:
                strange[name] = what
    return regular, strange, empty


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise DataError(f"{shown(str(folder))} cannot be read: {error.strerror}") from error


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            return f"a link to {Path(entry.path).readlink()}"
    except OSError as error:
        raise DataError(f"{shown(entry.path)} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        return _FOLDER
    if stat.S_ISREG(mode):
        return _FILE
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _read(path: Path) -> Seen:
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with opened(path) as stream:
            while chunk := stream.read(_BUFFER):
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise DataError(f"{shown(str(path))} cannot be read: {error.strerror}") from error
    return Seen(size, sha256.hexdigest(), md5.hexdigest())


def opened(path: Path) -> IO[bytes]:
    """Opens a file to be read: not through a link, and without waiting at a pipe.

    Raises:
        OSError: it cannot be read, or is a link.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags), "rb")
