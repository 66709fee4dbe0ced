"""Sends results to a remote: objects, then listings of folders, then the entries that name them.

Whatever breaks it off, nothing on the remote promises what is not there, and the next push goes on
where this one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mlbuild.fingerprint import file_md5
from mlbuild.records import Progress
from mlbuild.store.cache import Objects
from mlbuild.store.files import checkpoint
from mlbuild.store.team import Suspects, object_path
from mlbuild.store.transport import AbsentError, Files, in_parallel


class Entry(NamedTuple):
    """A run-cache entry and the outputs that it promises."""

    file: Path
    outputs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cargo:
    """What is to be on the remote."""

    outputs: Mapping[str, str]  # digest -> what it is, for messages
    entries: Sequence[Entry]


@dataclass(slots=True)
class Pushed:
    """What a push did."""

    remote: str
    objects: int = 0  # sent
    size: int = 0  # bytes sent, entries not counted
    entries: int = 0  # sent
    present: int = 0  # objects that were there already
    repaired: int = 0  # of those sent: there, but with other bytes
    withheld: int = 0  # entries whose objects are neither here nor there
    missing: list[str] = field(default_factory=list)  # outputs that are neither here nor there


class Push:
    """One push to one remote."""

    def __init__(
        self,
        files: Files,
        objects: Objects,
        suspects: Suspects,
        *,
        jobs: int | None = None,
        verify: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._files, self._objects, self._suspects = files, objects, suspects
        self._jobs, self._verify, self._progress = jobs or files.jobs, verify, progress
        self._there: set[str] = set()  # objects that are on the remote as they should be
        self._done = Pushed(files.name)

    def send(self, cargo: Cargo) -> Pushed:
        """Sends what the remote lacks.

        Raises:
            RemoteError: it cannot be reached, or broke off. What was sent stays.
        """
        parts = {md5: self._objects.objects_of(md5) for md5 in cargo.outputs}
        wanted = sorted(set().union(*parts.values())) if parts else []
        todo = self._lacking(wanted)
        self._done.present = len(self._there)
        suspects = self._suspects.all()
        total = sum(size for size, _ in todo.values())
        for listings in (False, True):  # a listing promises its files
            batch = {
                md5: todo[md5]
                for md5 in todo
                if md5.endswith(".dir") is listings
                and (not listings or parts.get(md5, {md5}) - {md5} <= self._there)
            }
            self._upload(batch, total)
        self._suspects.discard(suspects & self._there)
        whole = {md5 for md5, inner in parts.items() if inner <= self._there}
        self._done.missing = sorted({cargo.outputs[md5] for md5 in parts.keys() - whole})
        self._send_entries(cargo.entries, whole)
        return self._done

    def _lacking(self, wanted: Sequence[str]) -> dict[str, tuple[int, bool]]:
        """Objects that must be sent: digest -> their size, and whether they replace another."""
        suspects, todo = self._suspects.all(), dict[str, tuple[int, bool]]()

        def look(md5: str) -> None:
            there = self._files.size(object_path(md5))
            try:
                here = self._objects.path(md5).stat().st_size
            except FileNotFoundError:
                here = None
            if here is None and there is not None and md5 not in suspects:
                self._there.add(md5)  # somebody else's: this machine never had it
            elif here is not None and (there != here or md5 in suspects or self._differs(md5)):
                todo[md5] = (here, there is not None)
            elif here is not None:
                self._there.add(md5)

        count = 0

        def tell(md5: str) -> None:
            nonlocal count
            count += 1
            if self._progress:
                text = f"looked for {count} of {len(wanted)} objects on '{self._files.name}'"
                self._progress(float(count), float(len(wanted)), text)

        in_parallel(look, wanted, self._jobs, tell)
        return todo

    def _differs(self, md5: str) -> bool:
        """Whether the bytes on the remote are others; they are read only if that was asked for."""
        if not self._verify:
            return False
        temporary = self._objects.temporary()
        try:
            self._files.download(object_path(md5), temporary)
            return file_md5(str(temporary)) != md5.removesuffix(".dir")
        except AbsentError:
            return True
        finally:
            temporary.unlink(missing_ok=True)

    def _upload(self, batch: Mapping[str, tuple[int, bool]], total: int) -> None:
        def send(md5: str) -> bool:
            path = self._objects.path(md5)
            try:
                # An object that rotted here must not reach the others under its right name.
                if file_md5(str(path)) != md5.removesuffix(".dir"):
                    path.unlink(missing_ok=True)
                    return False
                checkpoint("push object")
                self._files.upload(path, object_path(md5))
            except FileNotFoundError:  # collected meanwhile
                return False
            self._there.add(md5)
            return True

        def tell(md5: str) -> None:
            if md5 in self._there:
                size, replaced = batch[md5]
                self._done.objects += 1
                self._done.size += size
                self._done.repaired += replaced
            if self._progress:
                text = f"sent {self._done.objects} objects to '{self._files.name}'"
                self._progress(float(self._done.size), float(total), text)

        in_parallel(send, sorted(batch), self._jobs, tell)

    def _send_entries(self, entries: Iterable[Entry], whole: set[str]) -> None:
        ready = [entry for entry in entries if entry.outputs <= whole]
        self._done.withheld = len(list(entries)) - len(ready)

        def send(entry: Entry) -> bool:
            value, key = entry.file.name, entry.file.parent.name
            path = f"runs/{key[:2]}/{key}/{value}"
            try:
                if self._files.size(path) == entry.file.stat().st_size:
                    return False
                checkpoint("push entry")
                self._files.upload(entry.file, path)
            except FileNotFoundError:
                return False
            return True

        self._done.entries = sum(in_parallel(send, ready, self._jobs))
