"""The team's cache: what anyone has built and pushed, looked up by stage key.

A result is one entry of the run cache and the objects that it names. Nothing that comes from the
remote is believed: an entry must be of the key that was asked for, an object of its digest.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mlbuild.records import Progress, StageRecord
from mlbuild.store.cache import Objects, is_digest
from mlbuild.store.files import write_atomic
from mlbuild.store.runs import RunCache, run_key
from mlbuild.store.transport import AbsentError, Files, in_parallel, open_remote

_ENTRY = re.compile(r"[0-9a-f]{64}")


class Found(NamedTuple):
    """What a look-up brought."""

    keys: frozenset[str]  # those that somebody has a result for
    refused: tuple[str, ...]  # entries that are not what their place says


class Fetched(NamedTuple):
    """What became of the objects that were wanted."""

    objects: int
    size: int
    missing: frozenset[str]  # digests that the remote does not have
    corrupt: frozenset[str]  # digests whose bytes there are others; nothing of them was kept


class Team:
    """One project's view of its default remote. It is opened when it is first asked."""

    def __init__(
        self,
        root: Path,
        state_dir: Path,
        objects: Objects,
        runs: RunCache,
        place_of: Callable[[str], Path | None],
    ) -> None:
        self._root, self._objects, self._place_of = root, objects, place_of
        self.runs = runs
        self.suspects = Suspects(state_dir / "remote-corrupt")

    @cached_property
    def files(self) -> Files | None:
        """The default remote; None where there is none.

        Raises:
            RemoteError: DVC cannot use it.
        """
        return open_remote(self._root)

    def lookup(self, keys: Iterable[str]) -> Found:
        """Asks for stage keys, one exact path each; what is found becomes a candidate.

        Raises:
            RemoteError: the remote cannot be asked.
        """
        files, refused = self.files, list[str]()
        if files is None:
            return Found(frozenset(), ())

        def ask(key: str) -> None:
            name = run_key(key)
            folder = f"runs/{name[:2]}/{name}"
            for value in files.names(folder):
                if not _ENTRY.fullmatch(value) or self.runs.has(key, value):
                    continue
                data = self._read(files, f"{folder}/{value}")
                if data is not None and not self.runs.accept(key, value, data):
                    refused.append(f"{folder}/{value}")

        wanted = list(dict.fromkeys(keys))
        in_parallel(ask, wanted, files.jobs)
        return Found(frozenset(k for k in wanted if self.runs.find(k)), tuple(sorted(refused)))

    def fetch(self, records: Iterable[StageRecord], progress: Progress | None = None) -> Fetched:
        """Brings what records name and is not here into the cache; each object is verified.

        Raises:
            RemoteError: the remote cannot be reached, or broke off; what came before is kept.
        """
        outs = {out.md5 for record in records for out in record.outputs.values()}
        return self.fetch_objects({m for m in outs if not self._place_of(m)}, progress)

    def fetch_objects(
        self, wanted: Collection[str], progress: Progress | None = None, whole: bool = True
    ) -> Fetched:
        """Brings objects and, unless not ``whole``, what the folders among them list."""
        brought: dict[str, int] = {}
        missing: set[str] = set()
        corrupt: set[str] = set()
        for _ in ("files and listings", "what the listings name")[: 1 + whole]:
            todo = {m for md5 in wanted if is_digest(md5) for m in self._objects.missing(md5)}
            todo -= missing | corrupt
            files = self.files if todo else None
            if files is None:
                missing |= todo
                break
            self._receive(files, sorted(todo), brought, missing, corrupt, progress)
        if corrupt:
            self.suspects.add(corrupt)
        return Fetched(len(brought), sum(brought.values()), frozenset(missing), frozenset(corrupt))

    def has(self, records: Iterable[StageRecord]) -> set[str]:
        """The keys of those whose objects lie here or on the remote; of folders, the listing."""
        records, files = list(records), self.files
        wanted = {out.md5 for r in records for out in r.outputs.values() if is_digest(out.md5)}
        there = {m for m in wanted if self._objects.has(m) or self._place_of(m)}
        if files is not None:
            away = sorted(wanted - there)
            sizes = in_parallel(lambda m: files.size(object_path(m)), away, files.jobs)
            there |= {m for m, size in zip(away, sizes, strict=True) if size is not None}
        return {r.key for r in records if all(o.md5 in there for o in r.outputs.values())}

    def _receive(
        self,
        files: Files,
        todo: list[str],
        brought: dict[str, int],
        missing: set[str],
        corrupt: set[str],
        progress: Progress | None,
    ) -> None:
        """One wave of downloads; tells what became of each object."""

        def get(md5: str) -> None:
            try:
                if self._objects.take(md5, lambda to: files.download(object_path(md5), to)):
                    brought[md5] = self._objects.path(md5).stat().st_size
                else:
                    corrupt.add(md5)
            except AbsentError:
                missing.add(md5)

        count = 0

        def tell(md5: str) -> None:
            nonlocal count
            count += 1
            if progress:
                text = f"fetched {count} of {len(todo)} objects from '{files.name}'"
                progress(float(count), float(len(todo)), text)

        in_parallel(get, todo, files.jobs, tell)

    def _read(self, files: Files, path: str) -> bytes | None:
        to = self._objects.temporary()
        try:
            files.download(path, to)
            return to.read_bytes()
        except AbsentError:  # removed since it was listed
            return None
        finally:
            to.unlink(missing_ok=True)


class Suspects:
    """Objects that were found corrupt on the remote: the next push from here replaces them.

    It is no more than a hint: `mlbuild push --verify` finds them too.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def all(self) -> set[str]:
        """Their digests."""
        try:
            return {m for m in self._file.read_text("ascii").split() if is_digest(m)}
        except (OSError, UnicodeDecodeError):
            return set()

    def add(self, found: Iterable[str]) -> None:
        """Remembers some more."""
        self._write(self.all() | set(found))

    def discard(self, mended: Iterable[str]) -> None:
        """Forgets those that were replaced."""
        left = self.all()
        if left & set(mended):
            self._write(left - set(mended))

    def _write(self, digests: set[str]) -> None:
        with contextlib.suppress(OSError):
            write_atomic(self._file, "\n".join(sorted(digests)).encode(), sync=False)


def object_path(md5: str) -> str:
    """Where an object lies on a remote, as DVC lays it out."""
    return f"files/md5/{md5[:2]}/{md5[2:]}"
