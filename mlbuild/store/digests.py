"""What lies on the disk: digests of files and folders behind a cache of their stat data.

A digest is taken from the cache only where size, mtime, ctime and inode are those that were seen
when the bytes were read, and where the clock had moved on since the last change: two writes within
one tick of the filesystem's clock look alike.
"""

from __future__ import annotations

import hashlib
import os
import stat as st
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mlbuild.fingerprint import listing_md5
from mlbuild.records import Digest, Progress
from mlbuild.store.files import explain
from mlbuild.store.hashing import read_all, read_one
from mlbuild.store.ignoring import Ignore
from mlbuild.store.meter import Meter
from mlbuild.store.statcache import Sig, StatCache, Tree, packed
from mlbuild.store.ticks import GRANULE_NS, settled, wait_for_tick
from mlbuild.store.twins import Twins
from mlbuild.store.walking import Walk, dangling, sig_of, strange, walk

__all__ = ["GRANULE_NS", "Digests", "Sig", "settled", "sig_of", "wait_for_tick"]


class _Folder(NamedTuple):
    """A folder that was looked at: the stat data are those that belong to its digest."""

    walk: Walk
    tree: Tree


class Digests:
    """Digests by path. One object serves one build; ``flush`` keeps what was learned.

    Args:
        state_dir: `.mlbuild/`.
        root: the project.
        threads: how many large files are read at once; 0: as many as there are cores.
    """

    def __init__(self, state_dir: Path, root: Path | None = None, threads: int = 0) -> None:
        self._root = str(root or state_dir.parent)
        self._cache = StatCache(state_dir / "digests")
        self._threads = threads
        self._memo: dict[str, Digest | None] = {}
        self._folders: dict[str, _Folder] = {}
        self._below: dict[str, set[str]] = {}  # folder -> keys of the memo that lie in it
        self._places: dict[str, str] = {}  # digest -> where it was last seen
        self._racy: dict[str, int] = {}  # -> bytes that must be read again
        self._seen: dict[str, Sig | None] = {}
        self._ignore: Ignore | None = None
        self._folders_above: dict[str, tuple[str, ...]] = {}
        self.twins = Twins(state_dir / "digests" / "twins")
        self.progress: Progress | None = None  # told of long reading where nobody else is named

    @property
    def seen(self) -> dict[str, Sig | None]:
        """Each file and folder that was looked at, with the stat data that belong to the digest.

        These are what a no-op record must compare with, not what a later stat says.
        """
        found = dict(self._seen)
        for key, folder in self._folders.items():
            found.update(folder.walk.folders)
            paths = (f"{key}/{name}" for name in folder.walk.names)
            found.update(zip(paths, folder.walk.sigs, strict=True))
        return found

    def of(self, path: Path, progress: Progress | None = None) -> Digest | None:
        """The digest of a file or folder, None where there is nothing.

        Raises:
            DataError: unreadable, a dangling link, or neither file nor folder.
        """
        key = str(path)
        if key in self._memo:
            return self._memo[key]
        found = self._stat(key)
        if found is None:
            self._seen[key] = None
            return self._remember(key, None)
        progress = progress or self.progress
        if st.S_ISDIR(found.st_mode):
            return self._remember(key, self._folder(key, progress))
        return self._remember(key, self._file(key, found, progress))

    def listing(self, path: Path, progress: Progress | None = None) -> dict[str, str]:
        """The files of a folder: relative path -> MD5. Empty where there is no folder."""
        self.of(path, progress)
        folder = self._folders.get(str(path))
        return folder.tree.listing() if folder else {}

    def stat_data(self, path: Path) -> bytes | None:
        """A digest of the stat data of a file, or of all files of a folder, looked at anew."""
        sig = self._at_rest(str(path))
        if sig is not None:
            return packed([sig])
        self.forget(path)
        if self.of(path) is None:
            return None
        folder = self._folders.get(str(path))
        if folder is None:
            return packed([sig] if (sig := self._seen[str(path)]) else [])
        data = "\0".join(folder.walk.names).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(data + packed(folder.walk.sigs)).digest()

    def _at_rest(self, key: str) -> Sig | None:
        """The stat data of a file whose digest to look at anew would change nothing."""
        before = self._seen.get(key)
        if before is None or self._memo.get(key) is None or key in self._folders:
            return None
        found = self._stat(key)
        if found is None or not st.S_ISREG(found.st_mode) or sig_of(found) != before:
            return None
        row = self._cache.get(*self._place(key))
        return before if row is not None and row[:4] == before else None

    def ignore(self) -> Ignore:
        """What does not count in the project's folders. Its files are watched like any other."""
        if self._ignore is None:
            self._ignore = Ignore(self._root, self._look)
        return self._ignore

    def watch(self, path: Path) -> None:
        """Notes the stat data of something that is about to be read by others."""
        self._watch(str(path))

    def forget(self, path: Path) -> None:
        """Something was written here or below: look again."""
        key = str(path)
        for known in (key, *self._above(key), *self._below.pop(key, ())):
            if known.endswith("/.dvcignore"):
                self._ignore = None  # whoever asks for rules looks at their files again
            self._memo.pop(known, None)
            self._folders.pop(known, None)
            self._seen.pop(known, None)

    def learn(self, path: Path, digest: Digest, listing: dict[str, str] | None) -> None:
        """Notes the digest of what mlbuild itself has just put here, without reading it."""
        key = str(path)
        self.forget(path)
        if listing is None:
            sig = sig_of(os.stat(key))  # noqa: PTH116 - a hot path
            self._seen[key] = sig
            self._cache.put(*self._place(key), (*sig, digest.md5))
            self._remember(key, digest)
            return
        found = self._walk(key)
        if set(found.names) != listing.keys():
            return  # somebody else was here too: whoever asks next reads it
        self._remember(key, digest)
        tree = _tree(found, (listing[name] for name in found.names), digest.md5)
        self._folders[key] = _Folder(found, tree)
        self._cache.put_tree(self._relative(key), tree)

    def settle(self, limit_bytes: int = 64 << 20) -> bool:
        """Reads again what changed within a tick of being read, once the tick is over.

        Returns:
            False: something did change in between, or there is too much to read again. What was
            said about it may be out of date, and no no-op record must be written.
        """
        racy, self._racy = self._racy, {}
        if not racy:
            return True
        if sum(racy.values()) > limit_bytes:
            return False
        before = {key: self._memo.get(key) for key in racy}
        wait_for_tick(self._sigs(racy))
        for key in racy:
            self.forget(Path(key))
        same = all(self.of(Path(key)) == digest for key, digest in before.items())
        return same and not self._racy

    def place_of(self, md5: str) -> Path | None:
        """Where a file or folder with that digest lies, of those that were looked at."""
        key = self._places.get(md5)
        digest = self._memo.get(key) if key else None
        return Path(key) if key and digest and digest.md5 == md5 else None

    def flush(self) -> None:
        """Keeps what was learned for the next run; losing it costs time, not correctness."""
        self._cache.flush()
        self.twins.flush()

    def _remember(self, key: str, digest: Digest | None) -> Digest | None:
        self._memo[key] = digest
        if digest:
            self._places[digest.md5] = key
        for parent in self._above(key):
            self._below.setdefault(parent, set()).add(key)
        return digest

    def _above(self, key: str) -> tuple[str, ...]:
        """The folders above a path, up to the root."""
        parent = key.rpartition("/")[0]
        found = self._folders_above.get(parent)
        if found is None:
            found = (parent, *self._above(parent)) if len(parent) > len(self._root) else ()
            self._folders_above[parent] = found
        return found

    def _watch(self, key: str) -> None:
        if key not in self._seen:
            found = self._stat(key)
            self._seen[key] = sig_of(found) if found else None

    def _stat(self, key: str) -> os.stat_result | None:
        try:
            return os.stat(key)  # noqa: PTH116 - a hot path
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(key):  # noqa: PTH114
                raise dangling(key) from None
            return None
        except OSError as error:
            raise explain(error, "reading", Path(key)) from error

    def _file(self, key: str, found: os.stat_result, progress: Progress | None) -> Digest:
        if not st.S_ISREG(found.st_mode):
            raise strange(key)
        place = self._place(key)
        sig, row = sig_of(found), self._cache.get(*place)
        if row is not None and row[:4] == sig:
            md5 = row[4]
        else:
            meter = Meter(progress, f"reading {self._relative(key)}", found.st_size)
            md5, sig, calm = read_one(key, self.twins, meter)
            if calm:
                self._cache.put(*place, (*sig, md5))
            else:
                self._racy[key] = sig[0]
        self._seen[key] = sig
        return Digest(md5, sig[0], isexec=bool(found.st_mode & 0o111))

    def _folder(self, key: str, progress: Progress | None) -> Digest:
        now = time.time_ns()
        found = self._walk(key)
        known = self._cache.tree(self._relative(key))
        if known and known.digest and _equal(known, found):
            tree, racy = known, 0
        else:
            tree, racy = self._read(key, found, known, progress)
        if racy or not all(settled(sig, now) for _, sig in found.folders):
            self._racy[key] = racy
        self._folders[key] = _Folder(found, tree)
        assert tree.digest is not None
        return Digest(tree.digest, sum(s[0] for s in found.sigs), nfiles=len(found.names))

    def _read(
        self, key: str, found: Walk, known: Tree | None, progress: Progress | None
    ) -> tuple[Tree, int]:
        """Reads what is not known of a folder.

        Returns:
            All of it, and how many bytes of it were not at rest. ``found`` gets the stat data that
            belong to what was read.
        """
        rows = known.rows() if known else {}
        md5s: list[str] = [""] * len(found.names)
        todo: dict[str, int] = {}
        for number, (name, sig) in enumerate(zip(found.names, found.sigs, strict=True)):
            row = rows.get(name)
            if row is not None and row[0] == sig:
                md5s[number] = row[1]
            else:
                todo[f"{key}/{name}"] = number
        files = [(path, found.sigs[number][0]) for path, number in todo.items()]
        text = f"reading {len(files)} files of {self._relative(key)}"
        meter = Meter(progress, text, sum(size for _, size in files))
        restless: set[int] = set()
        for path, read in read_all(files, self.twins, meter, self._threads):
            number = todo[path]
            md5s[number], found.sigs[number] = read.md5, read.sig
            if not read.calm:
                restless.add(number)
        whole = listing_md5(zip(found.names, md5s, strict=True))[0]
        tree = _tree(found, md5s, whole)
        kept = _without(restless, found, md5s) if restless else tree
        self._cache.put_tree(self._relative(key), kept)
        return tree, sum(found.sigs[number][0] for number in restless)

    def _walk(self, key: str) -> Walk:
        return walk(key, self.ignore())

    def _look(self, file: str) -> bool:
        """Whether something there says what does not count: a change of it must be noticed."""
        if os.path.isdir(file):  # noqa: PTH112 - whoever reads it says what is wrong
            self._watch(file)
            return True
        return self.of(Path(file)) is not None

    def _sigs(self, keys: Iterable[str]) -> Iterator[Sig | None]:
        for key in keys:
            yield self._seen.get(key)
            if key in self._folders:
                yield from self._folders[key].walk.sigs
                yield from (sig for _, sig in self._folders[key].walk.folders)

    def _place(self, key: str) -> tuple[str, str]:
        """Single files share one page of the cache for each folder."""
        folder, _, name = self._relative(key).rpartition("/")
        return folder + "/", name

    def _relative(self, key: str) -> str:
        """Relative to the root, so that a checkout that was moved keeps its cache."""
        return key[len(self._root) + 1 :] if key.startswith(self._root + "/") else key


def _equal(known: Tree, found: Walk) -> bool:
    """Whether a folder is what it was. A changed folder may name its files in another order."""
    return known.sigs == packed(found.sigs) and known.names == _joined(found.names)


def _joined(names: list[str]) -> str:
    return "".join([f"{name}\0" for name in names])


def _tree(found: Walk, md5s: Iterable[str], digest: str | None) -> Tree:
    return Tree(_joined(found.names), packed(found.sigs), bytes.fromhex("".join(md5s)), digest)


def _without(numbers: set[int], found: Walk, md5s: list[str]) -> Tree:
    """What may be kept of a folder some of whose files were not at rest."""
    kept = [n for n in range(len(md5s)) if n not in numbers]
    part = Walk([found.names[n] for n in kept], [found.sigs[n] for n in kept], [])
    return _tree(part, [md5s[n] for n in kept], None)
