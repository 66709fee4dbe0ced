"""Stat data -> MD5, kept between runs in one small file for each folder that is asked for.

Nothing here is a fact of its own: a page that is missing, old or damaged is simply empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
from array import array
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mlbuild.store.files import write_atomic

Sig = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode
Row = tuple[int, int, int, int, str]  # the same, and the md5

_VERSION = 2
_WRAP = 1 << 64  # an inode may use all 64 bits, the packed form is signed


class Tree(NamedTuple):
    """A folder as it was last read: packed, so that a hundred thousand files load in a moment."""

    names: str  # relative paths in the order of the walk, each with a NUL behind it
    sigs: bytes  # four numbers a file
    md5s: bytes  # sixteen bytes a file
    digest: str | None  # of the whole folder; None where some of its files are not in it

    def rows(self) -> dict[str, tuple[Sig, str]]:
        """Relative path -> stat data, MD5."""
        hexes = self.md5s.hex()
        each = (hexes[i : i + 32] for i in range(0, len(hexes), 32))
        names = self.names.split("\0")[:-1]
        return dict(zip(names, zip(unpacked(self.sigs), each, strict=True), strict=True))

    def listing(self) -> dict[str, str]:
        """Relative path -> MD5."""
        hexes = self.md5s.hex()
        names = self.names.split("\0")[:-1]
        return {name: hexes[i * 32 : i * 32 + 32] for i, name in enumerate(names)}


def packed(sigs: Iterable[Sig]) -> bytes:
    """Stat data as bytes; equal if and only if the stat data are."""
    numbers = list(chain.from_iterable(sigs))
    try:
        return array("q", numbers).tobytes()
    except OverflowError:
        return array("q", [n - _WRAP if n >> 63 == 1 else n for n in numbers]).tobytes()


def unpacked(data: bytes) -> list[Sig]:
    """What ``packed`` packed."""
    numbers = iter(array("q", data))
    return [(s, m, c, i % _WRAP) for s, m, c, i in zip(*[numbers] * 4, strict=True)]


class StatCache:
    """Pages of rows or trees; a page is loaded when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages: dict[str, dict[str, Row]] = {}
        self._changed: set[str] = set()
        self._trees: dict[str, Tree] = {}

    def get(self, page: str, name: str) -> Row | None:
        """The row of one file."""
        return self._page(page).get(name)

    def put(self, page: str, name: str, row: Row) -> None:
        """Sets the row of one file."""
        self._page(page)[name] = row
        self._changed.add(page)

    def tree(self, page: str) -> Tree | None:
        """All of a folder that was read as a whole."""
        if page in self._trees:
            return self._trees[page]
        found = self._load(page)
        if isinstance(found, tuple) and len(found) == len(Tree._fields):
            return Tree(*found)
        return None

    def put_tree(self, page: str, tree: Tree) -> None:
        """Replaces what is known of a folder."""
        self._trees[page] = tree

    def flush(self) -> None:
        """Writes the pages that changed. A full disk is no reason to fail a build."""
        for page in self._changed:
            self._write(page, self._pages[page])
        self._changed.clear()
        for page, tree in self._trees.items():
            self._write(page, tuple(tree))
        self._trees.clear()

    def _page(self, page: str) -> dict[str, Row]:
        if page not in self._pages:
            found = self._load(page)
            self._pages[page] = found if isinstance(found, dict) else {}
        return self._pages[page]

    def _write(self, page: str, facts: object) -> None:
        data = marshal.dumps((_VERSION, page, facts))  # type: ignore[arg-type]
        check = hashlib.md5(data, usedforsecurity=False).digest()
        with contextlib.suppress(OSError):
            write_atomic(self._file(page), check + data, sync=False)

    def _file(self, page: str) -> Path:
        return self._folder / hashlib.md5(page.encode("utf-8", "surrogateescape")).hexdigest()

    def _load(self, page: str) -> object:
        try:
            raw = self._file(page).read_bytes()
            # marshal trusts its input: only what this program wrote whole is given to it.
            if hashlib.md5(raw[16:], usedforsecurity=False).digest() != raw[:16]:
                return None
            version, name, facts = marshal.loads(raw[16:])
        except (OSError, ValueError, EOFError, TypeError):
            return None
        return facts if version == _VERSION and name == page else None
