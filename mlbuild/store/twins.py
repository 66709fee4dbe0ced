"""Large contents by two digests: their MD5, and the BLAKE3 that takes an eighth of the time.

MD5 is what DVC and the ledger know content by. Where a large file's stat data changed but perhaps
not its bytes (a touch, a checkout, a copy), or where a copy must be held against the name that it
is to get, BLAKE3 says that the MD5 is still right. Both belong to the content, not to a place: a
pair never goes out of date.
"""

from __future__ import annotations

import hashlib
import marshal
from pathlib import Path
from typing import NamedTuple

from mlbuild.store.files import write_atomic

_VERSION = 1
_MOST = 200_000  # pairs, 20 MB; the oldest go first


class Twin(NamedTuple):
    """One content of that size."""

    size: int
    md5: str
    blake3: str


class Twins:
    """What is known of large contents; losing it costs time only."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._loaded: dict[str, Twin] | None = None  # by MD5
        self._sizes: set[int] = set()
        self._by_blake3: dict[str, str] = {}
        self._fresh: dict[str, Twin] = {}

    def of_md5(self, md5: str) -> Twin | None:
        """The pair of a content that is known by its MD5."""
        return self._known().get(md5)

    def md5(self, blake3: str) -> str | None:
        """The MD5 of a content that is known by its BLAKE3."""
        self._known()
        return self._by_blake3.get(blake3)

    def any_of(self, size: int) -> bool:
        """Whether a content of that size is known: only then is asking worth a reading."""
        self._known()
        return size in self._sizes

    def learn(self, size: int, md5: str, blake3: str) -> None:
        """Both digests of one content, taken from the same bytes."""
        twin = Twin(size, md5, blake3)
        self._known()[md5] = self._fresh[md5] = twin
        self._index(twin)

    def flush(self) -> None:
        """Adds what was learned to what the file says by now."""
        if not self._fresh:
            return
        merged = self._load() | self._fresh
        rows = [tuple(twin) for twin in list(merged.values())[-_MOST:]]
        data = marshal.dumps((_VERSION, rows))
        check = hashlib.md5(data, usedforsecurity=False).digest()
        try:
            write_atomic(self._file, check + data, sync=False)
        except OSError:
            return  # a full disk is no reason to fail a build
        self._fresh.clear()

    def _known(self) -> dict[str, Twin]:
        if self._loaded is None:
            self._loaded = self._load()
            for twin in self._loaded.values():
                self._index(twin)
        return self._loaded

    def _index(self, twin: Twin) -> None:
        self._sizes.add(twin.size)
        self._by_blake3[twin.blake3] = twin.md5

    def _load(self) -> dict[str, Twin]:
        try:
            raw = self._file.read_bytes()
            # marshal trusts its input: only what this program wrote whole is given to it.
            if hashlib.md5(raw[16:], usedforsecurity=False).digest() != raw[:16]:
                return {}
            version, rows = marshal.loads(raw[16:])
            if version != _VERSION:
                return {}
            return {row[1]: Twin(*row) for row in rows}
        except (OSError, ValueError, EOFError, TypeError, IndexError):
            return {}
