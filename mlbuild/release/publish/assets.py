"""A release as flat files, for services whose releases have no folders.

A folder is a zip whose members have the paths that they have in the release folder, so that
unpacking all zips beside the other files gives the release folder back. Equal folders are equal
zips, whatever machine packs them: fixed dates, sorted members, and no compression, whose output
differs between versions of zlib (and weights hardly shrink).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mlbuild.errors import Problem
from mlbuild.release.publish.contents import CHUNK, Held, contents, digest
from mlbuild.release.publish.protocol import SIGNATURES, Bundle, PublishError, explained
from mlbuild.store.files import alive

SUMS = "SHA256SUMS"
_WORK = ".assets-"
# Services rename what holds anything else.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_TYPES = {
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".zip": "application/zip",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One flat file of a release."""

    name: str
    file: Path
    size: int
    sha256: str

    @property
    def type(self) -> str:
        """Its media type."""
        if self.name == SUMS:
            return "text/plain; charset=utf-8"
        return _TYPES.get(Path(self.name).suffix, "application/octet-stream")

    @property
    def is_signature(self) -> bool:
        """Whether it may differ between two releases of the same bytes."""
        return self.name in SIGNATURES


@contextmanager
def packed(release: Bundle, mode: str) -> Iterator[list[Asset]]:
    """The assets of a release, sorted by name; zips are gone again afterwards.

    Args:
        release: what is published.
        mode: "zip", or "files": artifacts that are one file stay as they are.

    Raises:
        PublishError: two assets would have one name, or a name that services change.
    """
    held = contents(release)
    with explained(f"packing {release.name} {release.version}"):
        _sweep(release.folder.parent)
        work = Path(tempfile.mkdtemp(prefix=f"{_WORK}{os.getpid()}-", dir=release.folder.parent))
    try:
        with explained(f"packing {release.name} {release.version}"):
            assets = [
                _asset(release, unit, list(members), mode, work)
                for unit, members in groupby(held, key=lambda h: _unit(h.path))
            ]
            assets.append(_sums(assets, work))
        _check_names(assets)
        yield sorted(assets, key=lambda a: a.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Removes the zips of processes that are no more."""
    for work in folder.glob(f"{_WORK}*"):
        pid = work.name.removeprefix(_WORK).partition("-")[0]
        if pid.isdecimal() and not alive(pid):
            shutil.rmtree(work, ignore_errors=True)


def _unit(path: str) -> str:
    """What is one asset: an artifact, another folder, or a file at the top."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "artifacts" else parts[0]


def _asset(release: Bundle, unit: str, members: Sequence[Held], mode: str, work: Path) -> Asset:
    only = members[0]
    if only.path == unit and "/" not in unit:
        return Asset(unit, only.file, only.size, only.sha256)
    single = len(members) == 1 and only.path.count("/") == unit.count("/") + 1
    if mode == "files" and single:
        return Asset(only.path.rpartition("/")[2], only.file, only.size, only.sha256)
    name = f"{release.name}-{release.version}-{unit.rpartition('/')[2]}.zip"
    file = work / name
    _pack(file, members)
    return Asset(name, file, *digest(file))


def _pack(file: Path, members: Sequence[Held]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for member in members:
            info = zipfile.ZipInfo(member.path, _DATE)
            info.create_system = 3  # Unix, whatever packs it: the mode below is Unix's
            mode = 0o755 if os.access(member.file, os.X_OK) else 0o644
            info.external_attr = (0o100000 | mode) << 16
            info.file_size = member.size  # whether a large member needs the longer header
            with member.file.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, CHUNK)


def _sums(assets: Sequence[Asset], work: Path) -> Asset:
    """What `sha256sum -c` reads; without the signatures, which check themselves."""
    told = sorted((a for a in assets if not a.is_signature), key=lambda a: a.name)
    text = "".join(f"{asset.sha256}  {asset.name}\n" for asset in told).encode()
    file = work / SUMS
    file.write_bytes(text)
    return Asset(SUMS, file, len(text), hashlib.sha256(text).hexdigest())


def _check_names(assets: Sequence[Asset]) -> None:
    seen: set[str] = set()
    for asset in assets:
        if not _NAME.fullmatch(asset.name):
            message = f"a release on a server cannot hold a file of the name '{asset.name}'"
            allowed = ("letters and digits of ASCII", ".", "_", "-")
            raise PublishError(Problem(message, allowed=allowed, hint="or assets: zip"))
        if asset.name in seen:
            message = f"two files of the release would both be '{asset.name}' on the server"
            raise PublishError(Problem(message, hint="assets: zip packs artifacts one by one"))
        seen.add(asset.name)
