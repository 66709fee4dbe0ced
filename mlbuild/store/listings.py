"""What digests stood for: a folder file by file, a kind's code, a toolchain's packages.

`mlbuild explain` tells with it what changed inside of something that a record only names by its
digest. It is a cache of knowledge: each thing is written once, under its digest, and held to it
when it is read; what no build record names any more is swept away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlbuild import fingerprint
from mlbuild.store.files import write_atomic

_SPARE = 32  # so many may lie here beyond what was needed at the last sweep


class Listings:
    """`.mlbuild/listings/` of one project."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "listings"
        self._records = state_dir / "build"

    def has(self, digest: str) -> bool:
        """Whether it is known what the digest stands for."""
        return os.path.exists(f"{self._folder}/{digest}")  # noqa: PTH110 - asked for each stage

    def keep_folder(self, md5: str, listing: Mapping[str, str]) -> None:
        """Notes the files of a folder: relative path -> MD5."""
        name, data = fingerprint.listing_md5(listing.items())
        if name == md5:
            self._keep(md5, data)

    def keep_code(self, digest: str, listing: Mapping[str, str]) -> None:
        """Notes the files of a kind's code: name -> MD5."""
        self._keep(digest, json.dumps(dict(listing), sort_keys=True).encode())

    def keep_packages(self, digest: str, lines: Iterable[str]) -> None:
        """Notes what a toolchain consists of: lines NAME==VERSION."""
        self._keep(digest, "\n".join(lines).encode())

    def folder(self, md5: str) -> dict[str, str] | None:
        """The files of a folder; None where they are not known."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            rows = json.loads((self._folder / md5).read_bytes())
            listing = {str(row["relpath"]): str(row["md5"]) for row in rows}
            if fingerprint.listing_md5(listing.items())[0] == md5:
                return listing
        return None

    def code(self, digest: str) -> dict[str, str] | None:
        """The files of a kind's code; None where they are not known."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            listing = json.loads((self._folder / digest).read_bytes())
            if isinstance(listing, dict) and fingerprint.digest("code", listing) == digest:
                return listing
        return None

    def packages(self, digest: str) -> dict[str, str] | None:
        """What a toolchain consisted of: name -> version; None where it is not known."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = (self._folder / digest).read_text("utf-8")
            if hashlib.sha256(text.encode()).hexdigest() == digest:
                return packages_of(text.splitlines())
        return None

    def _keep(self, digest: str, data: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk is no reason to fail a build
            write_atomic(self._folder / digest, data, sync=False)
            self._sweep()

    def _sweep(self) -> None:
        """Removes what no record of any pipeline names, once a good deal has come together."""
        names = {name for name in os.listdir(self._folder) if not name.startswith(".")}  # noqa: PTH208
        mark = self._folder / ".needed"
        needed = int(mark.read_text()) if mark.exists() else 0
        if len(names) <= 2 * needed + _SPARE:
            return
        records = b"".join(file.read_bytes() for file in self._records.glob("*.log"))
        gone = {name for name in names if name.encode() not in records}
        for name in gone:
            (self._folder / name).unlink(missing_ok=True)
        mark.write_text(str(len(names - gone)))


def packages_of(lines: Iterable[str]) -> dict[str, str]:
    """Lines NAME==VERSION, or NAME==VERSION ; MARKER, by what stands before the version.

    Where a package stands twice, for different platforms, its marker belongs to its name.
    """
    found: dict[str, str] = {}
    for line in lines:
        pin, _, marker = line.partition(" ; ")
        name, _, version = pin.partition("==")
        found[f"{name} ({marker})" if marker else name] = version
    return found
