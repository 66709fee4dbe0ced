"""Unpacking archives that nobody vouches for: no way out of the folder, no links, no bombs."""

from __future__ import annotations

import lzma
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlbuild.errors import DataError, Problem
from mlbuild.records import Progress

# deflate reaches 1000 to 1 on zeros; data that anybody trains on stays far below these.
_BOMB_RATIO = 200
_BOMB_FLOOR = 4 << 30
_MEMBERS = 5_000_000
_CORRUPT = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression method that Python's zipfile lacks
    RuntimeError,  # an encrypted member
)


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive; its name is a relative path without ``..``."""

    name: str
    kind: str  # "file", "folder", "link" (symbolic), "hardlink" or "device"
    size: int
    target: str = ""  # of a link: what it points to, as a member's name
    executable: bool = False


def members(archive: Path, label: str) -> dict[str, Member]:
    """What the archive holds, by name.

    Raises:
        DataError: it is corrupt, or a member is unsafe.
    """
    limit = max(_BOMB_FLOOR, _BOMB_RATIO * archive.stat().st_size)
    found: dict[str, Member] = {}
    total = 0
    with _told(label):
        for member in _read(archive, label):
            total += member.size
            if total > limit or len(found) > _MEMBERS:
                what = f"{label}: the archive would unpack to more than {limit / 1e9:.0f} GB"
                hint = "unpack it yourself, look at it, and name the folder as `path:`"
                raise DataError(Problem(what, hint=hint))
            if member.name:
                found[member.name] = member
    return found


def unpack(
    archive: Path,
    into: Path,
    places: Mapping[str, str],
    held: Mapping[str, Member],
    *,
    label: str,
    progress: Progress,
) -> None:
    """Writes chosen members; links to files become copies, so that no link is left.

    Args:
        archive: the file.
        into: an existing folder.
        places: member name -> path below ``into``.
        held: what ``members`` told of the archive.
        label: what messages call it.
        progress: told of files.
    """
    sources: dict[str, list[str]] = {}
    for name, place in places.items():
        source = _final(held, name, label)
        if source is not None:
            sources.setdefault(source.name, []).append(place)
    size = sum(held[name].size * len(copies) for name, copies in sources.items())
    free = shutil.disk_usage(into).free
    if size > free:
        got = f"{free / 1e6:.0f} MB free, {size / 1e6:.0f} MB needed"
        raise DataError(Problem(f"{label}: not enough space to unpack it", got=got))
    with _told(label):
        for done, (name, content) in enumerate(_contents(archive, set(sources)), 1):
            first, *others = (into / place for place in sources[name])
            _write(first, content, held[name].executable, label)
            for other in others:
                _prepare(other, label)
                shutil.copy(first, other)
            progress(float(done), float(len(sources)), f"{label}: unpacking")


@contextmanager
def _told(label: str) -> Iterator[None]:
    try:
        yield
    except _CORRUPT as error:
        got = str(error) or type(error).__name__
        raise DataError(Problem(f"{label}: the archive is corrupt", got=got)) from error


def _final(held: Mapping[str, Member], name: str, label: str) -> Member | None:
    """The regular member that ``name`` is or links to; None for a folder."""
    seen: set[str] = set()
    member = held[name]
    while member.kind in ("link", "hardlink"):
        seen.add(member.name)
        following = held.get(member.target)
        if following is None or following.name in seen:
            got = f"{name} -> {member.target}"
            what = f"{label}: a link in the archive points to nothing inside it"
            raise DataError(Problem(what, got=got))
        member = following
    if member.kind == "folder" and name in seen:
        what = f"{label}: a link in the archive points to a folder"
        hint = "choose what you need with `files:`"
        raise DataError(Problem(what, got=f"{name} -> {member.name}", hint=hint))
    return member if member.kind == "file" else None


def _write(path: Path, content: IO[bytes], executable: bool, label: str) -> None:
    _prepare(path, label)
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, 1 << 18)
    path.chmod(0o755 if executable else 0o644)


def _prepare(path: Path, label: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        what = f"{label}: the archive uses one name for a file and for a folder"
        raise DataError(Problem(what, got=path.name)) from error
    if path.is_dir():
        what = f"{label}: the archive uses one name for a file and for a folder"
        raise DataError(Problem(what, got=path.name))
    path.unlink(missing_ok=True)


def _safe(name: str, label: str) -> str:
    """The name as a clean relative path; '' for the archive's own top.

    Raises:
        DataError: it leads out of the folder.
    """
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        what = f"{label}: the archive is unsafe, a member leads out of its folder"
        raise DataError(Problem(what, got=repr(name)))
    clean = posixpath.normpath(name)
    return "" if clean == "." else clean


def _joined(name: str, target: str, label: str) -> str:
    """What a symbolic link at ``name`` points to, as a member's name."""
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or joined == ".." or joined.startswith("../"):
        what = f"{label}: the archive is unsafe, a link leads out of its folder"
        raise DataError(Problem(what, got=f"{name} -> {target}"))
    return joined


def _read(archive: Path, label: str) -> Iterator[Member]:
    if not _is_tar(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                yield _zip_member(packed, info, label)
        return
    with tarfile.open(archive, "r:*") as tape:
        for item in tape:
            member = _tar_member(item, label)
            if member.kind == "device":
                what = f"{label}: the archive is unsafe, it holds a device or a pipe"
                raise DataError(Problem(what, got=repr(item.name)))
            yield member
            tape.members = []  # type: ignore[attr-defined]  # else all headers stay in memory


def _tar_member(item: tarfile.TarInfo, label: str) -> Member:
    name = _safe(item.name, label)
    if item.issym():
        return Member(name, "link", 0, _joined(name, item.linkname, label))
    if item.islnk():
        return Member(name, "hardlink", 0, _safe(item.linkname, label))
    if item.isdir():
        return Member(name, "folder", 0)
    kind = "file" if item.isreg() else "device"
    return Member(name, kind, item.size, executable=bool(item.mode & 0o100))


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo, label: str) -> Member:
    name, mode = _safe(info.filename, label), info.external_attr >> 16
    if info.is_dir():
        return Member(name, "folder", 0)
    if stat.S_ISLNK(mode):
        with packed.open(info) as file:
            target = file.read(4096).decode("utf-8", "surrogateescape")
        return Member(name, "link", 0, _joined(name, target, label))
    return Member(name, "file", info.file_size, executable=bool(mode & 0o100))


def _contents(archive: Path, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Each wanted regular member in the archive's order; of equal names the last one counts."""
    if not _is_tar(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                name = posixpath.normpath(info.filename)
                if name in wanted and not info.is_dir():
                    with packed.open(info) as file:
                        yield name, file
        return
    with tarfile.open(archive, "r:*") as tape:
        for item in tape:
            name = posixpath.normpath(item.name)
            content = tape.extractfile(item) if name in wanted and item.isreg() else None
            if content is not None:
                yield name, content
            tape.members = []  # type: ignore[attr-defined]


def _is_tar(archive: Path) -> bool:
    # By name: a tar that ends in a stored zip looks like a zip from behind.
    return archive.suffix.lower() not in (".zip", ".whl")
