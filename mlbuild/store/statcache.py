"""Stat data -> MD5, kept between runs in one small file for each folder that is asked for.

Nothing here is a fact of its own: a page that is missing, old or damaged is simply empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
from pathlib import Path

from mlbuild.store.files import write_atomic

Row = tuple[int, int, int, int, str]  # size, mtime_ns, ctime_ns, inode, md5

_VERSION = 1


class StatCache:
    """Pages of rows; a page is loaded when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages: dict[str, dict[str, Row]] = {}
        self._changed: set[str] = set()

    def get(self, page: str, name: str) -> Row | None:
        """The row of one file."""
        return self.folder(page).get(name)

    def put(self, page: str, name: str, row: Row) -> None:
        """Sets the row of one file."""
        self.folder(page)[name] = row
        self._changed.add(page)

    def folder(self, page: str) -> dict[str, Row]:
        """All rows of a page."""
        if page not in self._pages:
            self._pages[page] = self._load(page)
        return self._pages[page]

    def put_folder(self, page: str, rows: dict[str, Row]) -> None:
        """Replaces all rows of a page."""
        self._pages[page] = rows
        self._changed.add(page)

    def flush(self) -> None:
        """Writes the pages that changed. A full disk is no reason to fail a build."""
        for page in self._changed:
            data = marshal.dumps((_VERSION, page, self._pages[page]))
            check = hashlib.md5(data, usedforsecurity=False).digest()
            with contextlib.suppress(OSError):
                write_atomic(self._file(page), check + data, sync=False)
        self._changed.clear()

    def _file(self, page: str) -> Path:
        return self._folder / hashlib.md5(page.encode("utf-8", "surrogateescape")).hexdigest()

    def _load(self, page: str) -> dict[str, Row]:
        try:
            raw = self._file(page).read_bytes()
            # marshal trusts its input: only what this program wrote whole is given to it.
            if hashlib.md5(raw[16:], usedforsecurity=False).digest() != raw[:16]:
                return {}
            version, name, rows = marshal.loads(raw[16:])
        except (OSError, ValueError, EOFError, TypeError):
            return {}
        if version != _VERSION or name != page or not isinstance(rows, dict):
            return {}
        return rows
