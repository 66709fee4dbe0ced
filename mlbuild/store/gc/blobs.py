"""What commits name: their ledgers read through one `git cat-file`.

Each tree and each file is read once, however many branches and tags share it.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from mlbuild.store.gc import git
from mlbuild.store.gc.named import is_ledger, named


class _Object(NamedTuple):
    name: str
    kind: str  # commit, tree, blob, tag; "missing"
    data: bytes


class Blobs:
    """Reads trees and blobs of one repository, each once. Close it, or use it in a ``with``."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._named: dict[str, frozenset[str]] = {}
        self._trees: dict[str, frozenset[str]] = {}
        with contextlib.suppress(FileNotFoundError):
            self._git = subprocess.Popen(
                ["git", "-C", os.fspath(top), "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=git.environment(),
            )
            return
        raise git.unknown(top, "there is no git program on PATH")

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        self._git.communicate()

    def of(self, ref: git.Ref) -> frozenset[str]:
        """The digests that a ref's files of the ledger name; none where it is no commit or tree."""
        found = self._read(f"{ref.commit}^{{}}")
        if ref.kind != "stash":
            return self._of(found, ref.name)
        # A stash is a merge: its own tree, what was staged, and what was not tracked.
        parents = re.findall(r"^parent ([0-9a-f]+)$", found.data.decode("utf-8", "replace"), re.M)
        sides = [self._of(self._read(parent), ref.name) for parent in parents[1:]]
        return self._of(found, ref.name).union(*sides)

    def blob(self, name: str, blob: str) -> frozenset[str]:
        """The digests that one file names."""
        if blob not in self._named:
            found = self._read(blob)
            if found.kind != "blob":
                raise git.unknown(self._top, f"{name} ({blob[:10]}) is missing from the repository")
            self._named[blob] = named(name, found.data.decode("utf-8", "replace"))
        return self._named[blob]

    def _of(self, found: _Object, what: str) -> frozenset[str]:
        if found.kind == "commit":
            return self._tree(found.data.split(b"\n", 1)[0].split()[1].decode())
        if found.kind == "tree":
            return self._tree(found.name)
        if found.kind == "blob":
            return frozenset()  # a single file's name, e.g. of a signing key
        raise git.unknown(self._top, f"the commit of {what} is missing from the repository")

    def _tree(self, tree: str) -> frozenset[str]:
        if tree not in self._trees:
            listed = self._read(tree)
            if listed.kind != "tree":
                raise git.unknown(self._top, f"folder {tree[:10]} is missing from the repository")
            found = [
                self._tree(item) if mode == b"40000" else self.blob(name, item)
                for mode, name, item in _entries(listed.data, len(tree) // 2)
                if mode == b"40000" or (mode.startswith(b"100") and is_ledger(name))
            ]
            self._trees[tree] = frozenset().union(*found)
        return self._trees[tree]

    def _read(self, name: str) -> _Object:
        to, back = _pipes(self._git)
        with contextlib.suppress(BrokenPipeError):  # git gave up: the object cannot be had
            to.write(f"{name}\n".encode())
            to.flush()
            head = back.readline().decode().split()
            if len(head) == 3 and head[2].isdigit():
                data = back.read(int(head[2]))
                back.read(1)
                return _Object(head[0], head[1], data)
        return _Object(name, "missing", b"")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin and process.stdout
    return process.stdin, process.stdout


def _entries(tree: bytes, width: int) -> Iterator[tuple[bytes, str, str]]:
    """(mode, name, object) of a tree as git stores it."""
    place = 0
    while place < len(tree):
        end = tree.index(b"\0", place)
        mode, _, name = tree[place:end].partition(b" ")
        place = end + 1 + width
        yield mode, name.decode("utf-8", "surrogateescape"), tree[end + 1 : place].hex()
