"""What lies on the disk: digests of files and folders behind a cache of their stat data.

A digest is taken from the cache only where size, mtime, ctime and inode are those that were seen
when the bytes were read, and where the clock had moved on since the last change: two writes within
one tick of the filesystem's clock look alike.
"""

from __future__ import annotations

import os
import stat as st
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from mlbuild.errors import DataError
from mlbuild.fingerprint import file_md5, listing_md5
from mlbuild.records import Digest, Progress
from mlbuild.store.files import explain
from mlbuild.store.statcache import Row, StatCache

Sig = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode

GRANULE_NS = 20_000_000  # a kernel's coarse clock ticks every 1 to 10 ms
_COARSE_NS = 2_000_000_000  # filesystems that keep whole seconds (or two)
_IGNORED_FOLDERS = {".git", ".hg", ".dvc"}  # what DVC leaves out of every folder
_PARALLEL_BYTES = 4 << 20


def sig_of(found: os.stat_result) -> Sig:
    """The stat data by which a change is noticed."""
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def settled(sig: Sig, now_ns: int) -> bool:
    """Whether a file with this stat data, read at ``now_ns``, cannot change unseen any more."""
    return _rest(sig) < now_ns


def _rest(sig: Sig) -> int:
    """From when on every write must show. Writes set ctime, and nobody can set it back."""
    coarse = sig[1] % 1_000_000_000 == 0 and sig[2] % 1_000_000_000 == 0
    return sig[2] + (_COARSE_NS if coarse else GRANULE_NS)


class _Walk(NamedTuple):
    files: list[tuple[str, str, os.stat_result]]  # relpath, path, stat
    folders: list[tuple[str, os.stat_result]]  # path, stat


class Digests:
    """Digests by path. One object serves one build; ``flush`` keeps what was learned.

    ``seen`` holds, for each file and folder that was looked at, the stat data that belong to the
    digest that was given out: what a no-op record must compare with, not what a later stat says.
    """

    def __init__(self, state_dir: Path, root: Path | None = None, threads: int = 0) -> None:
        self._root = str(root or state_dir.parent)
        self._cache = StatCache(state_dir / "digests")
        self._threads = threads or min(8, os.cpu_count() or 1)
        self._memo: dict[str, Digest | None] = {}
        self._listings: dict[str, dict[str, str]] = {}
        self._below: dict[str, set[str]] = {}  # folder -> keys of the memo that lie in it
        self._places: dict[str, str] = {}  # digest -> where it was last seen
        self._looked_at: dict[str, list[str]] = {}  # folder -> all that was seen in it
        self._racy: set[str] = set()
        self.seen: dict[str, Sig | None] = {}

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
            self.seen[key] = None
            return self._remember(key, None)
        if st.S_ISDIR(found.st_mode):
            return self._remember(key, self._folder(key, progress))
        return self._remember(key, self._file(key, found, progress))

    def listing(self, path: Path, progress: Progress | None = None) -> dict[str, str]:
        """The files of a folder: relative path -> MD5. Empty where there is no folder."""
        self.of(path, progress)
        return self._listings.get(str(path), {})

    def watch(self, path: Path) -> None:
        """Notes the stat data of something that is about to be read by others."""
        key = str(path)
        if key not in self.seen:
            found = self._stat(key)
            self.seen[key] = sig_of(found) if found else None

    def forget(self, path: Path) -> None:
        """Something was written here or below: look again."""
        key = str(path)
        for known in (key, *_above(key, self._root), *self._below.pop(key, ())):
            self._memo.pop(known, None)
            self._listings.pop(known, None)
            self.seen.pop(known, None)
            for name in self._looked_at.pop(known, ()):
                self.seen.pop(name, None)

    def learn(self, path: Path, digest: Digest, listing: dict[str, str] | None) -> None:
        """Notes the digest of what mlbuild itself has just put here, without reading it."""
        key = str(path)
        self.forget(path)
        self._remember(key, digest)
        if listing is None:
            sig = sig_of(os.stat(key))  # noqa: PTH116 - a hot path
            self.seen[key] = sig
            self._cache.put(*self._place(key), (*sig, digest.md5))
            return
        walk = self._walk(key)
        rows: dict[str, Row] = {}
        for rel, name, found in walk.files:
            self.seen[name] = sig_of(found)
            rows[rel] = (*sig_of(found), listing[rel])
        self.seen.update((name, sig_of(found)) for name, found in walk.folders)
        self._looked_at[key] = [n for _, n, _ in walk.files] + [n for n, _ in walk.folders]
        self._listings[key] = listing
        self._cache.put_folder(self._relative(key), rows)

    def settle(self, limit_bytes: int = 64 << 20) -> bool:
        """Reads again what changed within a tick of being read, once the tick is over.

        Returns:
            False: something did change in between, or there is too much to read again. What was
            said about it may be out of date, and no no-op record must be written.
        """
        racy, self._racy = self._racy, set()
        if not racy:
            return True
        before = {key: self._memo.get(key) for key in racy}
        if sum(d.size for d in before.values() if d) > limit_bytes:
            return False
        wait_for_tick(self.seen.values())
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

    def _remember(self, key: str, digest: Digest | None) -> Digest | None:
        self._memo[key] = digest
        if digest:
            self._places[digest.md5] = key
        for parent in _above(key, self._root):
            self._below.setdefault(parent, set()).add(key)
        return digest

    def _stat(self, key: str) -> os.stat_result | None:
        try:
            return os.stat(key)  # noqa: PTH116 - a hot path
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(key):  # noqa: PTH114
                raise _dangling(key) from None
            return None
        except OSError as error:
            raise explain(error, "reading", Path(key)) from error

    def _file(self, key: str, found: os.stat_result, progress: Progress | None) -> Digest:
        if not st.S_ISREG(found.st_mode):
            raise _strange(key)
        place = self._place(key)
        sig = sig_of(found)
        row = self._cache.get(*place)
        if row is not None and row[:4] == sig:
            md5 = row[4]
        else:
            if progress:
                progress(0, found.st_size, key)
            md5, sig, calm = _read(key)
            if calm:
                self._cache.put(*place, (*sig, md5))
            else:
                self._racy.add(key)
        self.seen[key] = sig
        return Digest(md5, sig[0], isexec=bool(found.st_mode & 0o111))

    def _folder(self, key: str, progress: Progress | None) -> Digest:
        walk = self._walk(key)
        self._looked_at[key] = [n for _, n, _ in walk.files] + [n for n, _ in walk.folders]
        known = self._cache.folder(self._relative(key))
        rows: dict[str, Row] = {}
        todo: list[tuple[str, str, int]] = []
        for rel, name, found in walk.files:
            row = known.get(rel)
            sig = sig_of(found)
            if row is not None and row[:4] == sig:
                rows[rel] = row
                self.seen[name] = sig
            else:
                todo.append((rel, name, found.st_size))
        calm = self._read_all(todo, rows, progress)
        now = time.time_ns()
        for name, found in walk.folders:
            self.seen[name] = sig_of(found)
            calm = calm and settled(sig_of(found), now)
        if not calm:
            self._racy.add(key)
        if todo or len(rows) != len(known):
            stale = {rel for rel, name, _ in todo if name in self._racy}
            self._cache.put_folder(
                self._relative(key), {r: row for r, row in rows.items() if r not in stale}
            )
            self._racy.difference_update([name for _, name, _ in todo])
        listing = {rel: row[4] for rel, row in rows.items()}
        self._listings[key] = listing
        size = sum(row[0] for row in rows.values())
        return Digest(listing_md5(listing.items())[0], size, nfiles=len(rows))

    def _read_all(
        self, todo: list[tuple[str, str, int]], rows: dict[str, Row], progress: Progress | None
    ) -> bool:
        """Reads many files; on several threads where the bytes are worth it."""
        if not todo:
            return True
        total, done, calm = float(sum(size for _, _, size in todo)), 0.0, True
        large = total > _PARALLEL_BYTES and len(todo) > 1 and self._threads > 1
        with ThreadPoolExecutor(self._threads if large else 1) as pool:
            names = [name for _, name, _ in todo]
            chunk = max(1, min(64, len(todo) // (4 * self._threads)))
            results: Iterable[tuple[str, Sig, bool]] = (
                _in_order(pool, names, chunk) if large else map(_read, names)
            )
            for (rel, name, size), (md5, sig, quiet) in zip(todo, results, strict=True):
                rows[rel] = (*sig, md5)
                self.seen[name] = sig
                if not quiet:
                    calm = False
                    self._racy.add(name)
                done += size
                if progress:
                    progress(done, total, name)
        return calm

    def _walk(self, key: str) -> _Walk:
        walk = _Walk([], [])
        stack = [(key, "")]
        while stack:
            folder, prefix = stack.pop()
            try:
                walk.folders.append((folder, os.stat(folder)))  # noqa: PTH116
                with os.scandir(folder) as entries:
                    children = list(entries)
            except OSError as error:
                raise explain(error, "reading", Path(folder)) from error
            if prefix and any(e.name == ".dvc" for e in children):
                walk.folders.pop()
                continue  # a DVC repository of its own: DVC leaves it out of the folder above
            for entry in children:
                if entry.name != ".git":  # a file of that name too: a worktree has one
                    _visit(entry, prefix, stack, walk)
        return walk

    def _place(self, key: str) -> tuple[str, str]:
        """Single files share one page of the cache for each folder."""
        folder, _, name = self._relative(key).rpartition("/")
        return folder + "/", name

    def _relative(self, key: str) -> str:
        """Relative to the root, so that a checkout that was moved keeps its cache."""
        return key[len(self._root) + 1 :] if key.startswith(self._root + "/") else key


def wait_for_tick(sigs: Iterable[Sig | None]) -> None:
    """Sleeps until no change can look like the newest one any more."""
    left = max((_rest(sig) for sig in sigs if sig), default=0) - time.time_ns()
    if left > 0:
        time.sleep(min(left, _COARSE_NS) / 1e9 + 0.001)


def _visit(entry: os.DirEntry[str], prefix: str, stack: list[tuple[str, str]], walk: _Walk) -> None:
    try:
        if entry.is_dir(follow_symlinks=False):
            if entry.name in _IGNORED_FOLDERS:
                return
            stack.append((entry.path, f"{prefix}{entry.name}/"))
            return
        found = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():
            raise _dangling(entry.path) from None
        return  # removed while we looked: the folder's stat data tell
    except OSError as error:
        raise explain(error, "reading", Path(entry.path)) from error
    if st.S_ISDIR(found.st_mode):
        raise DataError(
            f"{entry.path} is a link to a folder; DVC does not look behind it",
            hint="put the folder itself in its place, or declare what it points to as an input",
        )
    if not st.S_ISREG(found.st_mode):
        raise _strange(entry.path)
    walk.files.append((prefix + entry.name, entry.path, found))


def _read(name: str) -> tuple[str, Sig, bool]:
    """MD5, the stat data that belong to it, and whether a later change must show in them."""
    for _ in range(3):
        now = time.time_ns()
        try:
            before = sig_of(os.stat(name))  # noqa: PTH116
            md5 = file_md5(name)
            after = sig_of(os.stat(name))  # noqa: PTH116
        except OSError as error:
            raise explain(error, "reading", Path(name)) from error
        if before == after:
            return md5, after, settled(after, now)
    raise DataError(f"{name} keeps changing while it is read", hint="run again when it is at rest")


def _in_order(
    pool: ThreadPoolExecutor, names: list[str], chunk: int
) -> Iterable[tuple[str, Sig, bool]]:
    parts = [names[i : i + chunk] for i in range(0, len(names), chunk)]
    for part in pool.map(lambda some: [_read(n) for n in some], parts):
        yield from part


def _above(key: str, root: str) -> list[str]:
    """The folders above a path, up to the root."""
    found = []
    parent = key.rpartition("/")[0]
    while len(parent) > len(root):
        found.append(parent)
        parent = parent.rpartition("/")[0]
    return found


def _dangling(path: str) -> DataError:
    return DataError(
        f"{path} is a link to {os.readlink(path)!r}, which does not exist",  # noqa: PTH115
        hint="remove the link or put its target back",
    )


def _strange(path: str) -> DataError:
    return DataError(
        f"{path} is neither a file nor a folder",
        hint="sockets, pipes and devices hold no data: remove it or name another path",
    )
