"""The build record: what is known of each stage since its last success, one line for each.

It is append-only while a build runs, so that recording a stage costs the same whether the pipeline
has ten stages or ten thousand, and a line that was torn by a kill is recognised by its checksum.
It holds no fact of its own: ledger and run cache know all of them too.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mlbuild.records import Digest, Json, StageRecord
from mlbuild.store.files import checkpoint, explained, write_atomic

_VERSION = 1


class Entry(NamedTuple):
    """A stage's record and where its outputs were put (name -> path below the root)."""

    record: StageRecord
    paths: Mapping[str, str]


def digest_row(digest: Digest) -> list[Json]:
    """A digest as JSON."""
    return [digest.md5, digest.size, digest.nfiles, digest.isexec]


class BuildRecord:
    """One pipeline's build record.

    ``committed`` is what the last commit to the ledger left behind: facts by which the next one
    sees what it need not look at.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries: dict[str, Entry] = {}
        self._by_key: dict[str, StageRecord] | None = None
        self._lines = 0
        self._fd: int | None = None
        self.published: dict[str, str] = {}  # path -> digest that mlbuild put there last
        self.committed: dict[str, Json] = {}
        self.uncommitted: set[str] = set()  # stages recorded since then
        self._load()

    def get(self, stage: str) -> Entry | None:
        """What is known of a stage."""
        return self._entries.get(stage)

    def stages(self) -> Iterable[str]:
        """The names that are known."""
        return self._entries.keys()

    def with_key(self, key: str) -> StageRecord | None:
        """A record with exactly this key, of whatever stage."""
        if self._by_key is None:
            self._by_key = {e.record.key: e.record for e in self._entries.values()}
        return self._by_key.get(key)

    def append(self, stage: str, record: StageRecord, paths: Mapping[str, str]) -> None:
        """Notes a success."""
        entry = Entry(record, dict(paths))
        known = self._entries.get(stage)
        if known is not None and known == entry:
            return
        self._note(stage, entry)
        self._write(_line(_stage_row(stage, entry)))

    def commit(self, facts: dict[str, Json], stages: Iterable[str]) -> None:
        """Notes that the ledger is up to date; tidies up once half of the lines are history."""
        self.committed = facts
        self.uncommitted.clear()
        gone = self._entries.keys() - set(stages)
        if self._lines <= 2 * len(self._entries) + 20 and len(gone) <= len(self._entries) // 2:
            self._write(_line(["committed", facts]))
            return
        for stage in gone:
            del self._entries[stage]
        self._by_key = None
        lines = [_line(["version", _VERSION])]
        lines += [_line(_stage_row(name, entry)) for name, entry in self._entries.items()]
        lines.append(_line(["committed", facts]))
        self.close()
        with explained("writing the build record", self._file):
            write_atomic(self._file, b"".join(lines), sync=False)
        self._lines = len(lines)

    def close(self) -> None:
        """Closes the file; the next line opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _note(self, stage: str, entry: Entry) -> None:
        self._entries[stage] = entry
        self.uncommitted.add(stage)
        if self._by_key is not None:
            self._by_key[entry.record.key] = entry.record
        for name, path in entry.paths.items():
            if name in entry.record.outputs:
                self.published[path] = entry.record.outputs[name].md5

    def _write(self, line: bytes) -> None:
        with explained("writing the build record", self._file):
            if self._fd is None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
                line = self._preface() + line
            checkpoint("build record")
            os.write(self._fd, line)
            self._lines += 1

    def _preface(self) -> bytes:
        """The head of a new file, or the end of a line that a kill tore off."""
        assert self._fd is not None
        size = os.fstat(self._fd).st_size
        if size == 0:
            return _line(["version", _VERSION])
        return b"" if os.pread(self._fd, 1, size - 1) == b"\n" else b"\n"

    def _load(self) -> None:
        try:
            lines = self._file.read_bytes().split(b"\n")
        except OSError:
            return
        for line in lines:
            row = _parse(line)
            if row is None:
                continue
            self._lines += 1
            if row[0] == "version" and row[1] != _VERSION:
                break  # written by another mlbuild: rebuilt from the ledger
            with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
                if row[0] == "stage":
                    self._note(*_stage_of(row))
                elif row[0] == "committed":
                    self.committed = dict(row[1])
                    self.uncommitted.clear()


def _stage_row(stage: str, entry: Entry) -> list[Json]:
    record = entry.record
    outputs = {name: digest_row(digest) for name, digest in record.outputs.items()}
    return ["stage", stage, record.key, dict(record.parts), outputs, dict(entry.paths)]


def _stage_of(row: list[Json]) -> tuple[str, Entry]:
    _, stage, key, parts, outputs, paths = row
    record = StageRecord(key, parts, {name: Digest(*d) for name, d in outputs.items()})
    return stage, Entry(record, paths)


def _line(row: list[Json]) -> bytes:
    data = json.dumps(row, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(data), data)


def _parse(line: bytes) -> list[Json] | None:
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        row = json.loads(line[9:])
    except ValueError:
        return None
    return row if isinstance(row, list) and row else None
