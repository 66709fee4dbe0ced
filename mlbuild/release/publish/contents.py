"""The files of a release folder, with their digests."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import Problem
from mlbuild.release.publish.protocol import MANIFEST, Bundle, PublishError, explained

CHUNK = 1 << 20  # bytes in memory at a time


@dataclass(frozen=True, slots=True)
class Held:
    """A file of the release; ``path`` is relative to its folder, with '/'."""

    path: str
    file: Path
    size: int
    sha256: str


def contents(release: Bundle) -> list[Held]:
    """All files of a release, sorted by path.

    Raises:
        PublishError: there is no manifest of this release, or something is no plain file.
    """
    _check_manifest(release)
    with explained(str(release.folder)):
        files = sorted(_files(release.folder, ""))
        return [_held(release.folder, path) for path in files]


def _check_manifest(release: Bundle) -> None:
    file = release.folder / MANIFEST
    try:
        said = json.loads(file.read_bytes())
        named = (said["name"], said["release"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PublishError(f"{file}: no manifest of a release") from error
    if named != (release.name, release.version):
        raise PublishError(
            Problem(
                f"{file}: the manifest is of another release",
                got=f"{named[0]} {named[1]}",
                allowed=(f"{release.name} {release.version}",),
            )
        )


def _files(top: Path, under: str) -> Iterator[str]:
    with os.scandir(top / under) as entries:
        found = list(entries)
    for entry in found:
        path = f"{under}{entry.name}"
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            yield from _files(top, f"{path}/")
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise PublishError(f"{top / path}: a release holds plain files and folders only")


def _held(top: Path, path: str) -> Held:
    file = top / path
    size, sha256 = digest(file)
    return Held(path, file, size, sha256)


def digest(file: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file, read in pieces."""
    with file.open("rb") as source:
        return digest_of(iter(lambda: source.read(CHUNK), b""))


def digest_of(
    chunks: Iterator[bytes], tell: Callable[[int], None] | None = None
) -> tuple[int, str]:
    """Size and SHA-256 of what arrives in pieces."""
    size, sha = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        sha.update(chunk)
        if tell:
            tell(len(chunk))
    return size, sha.hexdigest()
