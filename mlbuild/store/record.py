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
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mlbuild.records import Digest, Json, StageRecord
from mlbuild.store.files import checkpoint, explained, write_atomic

_VERSION = 1
_FEW_SEARCHES = 16  # from then on reading all lines once is quicker


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
        self._entries: dict[str, Entry] = {}  # those that were asked for, or are new
        self._unread: dict[str, bytes] = {}  # stage -> its line, whose checksum is right
        self._raw = b""
        self._searches = 0
        self._with_key: dict[str, set[str]] = {}  # key -> stages that had it
        self._at_path: dict[str, dict[str, None]] = {}  # path -> stages, the newest last
        self._lines = 0
        self._fd: int | None = None
        self.committed: dict[str, Json] = {}
        self.uncommitted: set[str] = set()  # stages recorded since then
        self._load()

    def get(self, stage: str) -> Entry | None:
        """What is known of a stage."""
        if stage in self._unread:
            self._read(stage)
        return self._entries.get(stage)

    def stages(self) -> Collection[str]:
        """The names that are known."""
        return self._entries.keys() | self._unread.keys()

    def with_key(self, key: str) -> StageRecord | None:
        """A record with exactly this key, of whatever stage."""
        self._search(key.encode())
        for stage in self._with_key.get(key, ()):
            entry = self._entries.get(stage)
            if entry and entry.record.key == key:
                return entry.record
        return None

    def put_there(self, path: str) -> str | None:
        """The digest of what mlbuild last put at a path, as far as it is known here."""
        self._search(json.dumps(path).encode())
        for stage in reversed(self._at_path.get(path, {})):
            entry = self._entries.get(stage)
            for name, where in entry.paths.items() if entry else ():
                if entry and where == path and name in entry.record.outputs:
                    return entry.record.outputs[name].md5
        return None

    def signature(self) -> tuple[int, int, int] | None:
        """By which another run sees that nothing was recorded since."""
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_size, found.st_mtime_ns, found.st_ino)

    def append(self, stage: str, record: StageRecord, paths: Mapping[str, str]) -> None:
        """Notes a success."""
        entry = Entry(record, dict(paths))
        known = self.get(stage)
        if known is not None and known == entry:
            return
        self._note(stage, entry)
        self._write(_line(_stage_row(stage, entry)))

    def commit(self, facts: dict[str, Json], stages: Iterable[str]) -> None:
        """Notes that the ledger is up to date; tidies up once half of the lines are history."""
        self.committed = facts
        self.uncommitted.clear()
        known = self.stages()
        gone = set(known).difference(stages)
        if self._lines <= 2 * len(known) + 20 and len(gone) <= len(known) // 2:
            self._write(_line(["committed", facts]))
            self.close()  # one process may build a thousand times
            return
        for stage in list(self._unread):
            self._read(stage)
        for stage in gone:
            self._entries.pop(stage, None)
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
        self._unread.pop(stage, None)
        self._keep(stage, entry)
        self.uncommitted.add(stage)

    def _keep(self, stage: str, entry: Entry) -> None:
        self._entries.pop(stage, None)  # the newest stands last
        self._entries[stage] = entry
        self._with_key.setdefault(entry.record.key, set()).add(stage)
        for path in entry.paths.values():
            stages = self._at_path.setdefault(path, {})
            stages.pop(stage, None)
            stages[stage] = None

    def _search(self, wanted: bytes) -> None:
        """Reads the lines with these bytes in them: found faster than one line is parsed."""
        if not self._unread:
            return
        self._searches += 1
        if self._searches > _FEW_SEARCHES:
            found = list(self._unread)
        else:
            hit = wanted in self._raw
            found = [name for name, line in self._unread.items() if wanted in line] if hit else []
        for stage in found:
            self._read(stage)

    def _read(self, stage: str) -> None:
        row = _parse(self._unread.pop(stage))
        with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
            name, entry = _stage_of(row or [])
            if name == stage:
                self._keep(stage, entry)

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
            self._raw = self._file.read_bytes()
        except OSError:
            return
        for line in self._raw.split(b"\n"):
            if not _whole(line):
                continue
            self._lines += 1
            name = _stage_name(line)
            if name is not None:
                self._unread.pop(name, None)
                self._unread[name] = line
                self.uncommitted.add(name)
                continue
            row = _parse(line)
            if row and row[0] == "version" and row[1] != _VERSION:
                break  # written by another mlbuild: rebuilt from the ledger
            if row and row[0] == "committed":
                with contextlib.suppress(ValueError, TypeError, IndexError):
                    self.committed = dict(row[1])
                    self.uncommitted.clear()


def _stage_row(stage: str, entry: Entry) -> list[Json]:
    record = entry.record
    outputs = {name: digest_row(digest) for name, digest in record.outputs.items()}
    row = ["stage", stage, record.key, dict(record.parts), outputs, dict(entry.paths)]
    return [*row, list(record.undeclared)] if record.undeclared else row


def _stage_of(row: list[Json]) -> tuple[str, Entry]:
    _, stage, key, parts, outputs, paths, *more = row
    found = {name: Digest(*d) for name, d in outputs.items()}
    record = StageRecord(key, parts, found, tuple(more[0]) if more else ())
    return stage, Entry(record, paths)


def _line(row: list[Json]) -> bytes:
    data = json.dumps(row, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(data), data)


_STAGE = b'["stage","'


def _stage_name(line: bytes) -> str | None:
    """The stage that a line is about, without parsing it."""
    if not line.startswith(_STAGE, 9):
        return None
    start = 9 + len(_STAGE)
    name = line[start : line.find(b'"', start)]
    if b"\\" in name:  # a name with quotes or the like in it
        row = _parse(line)
        return str(row[1]) if row and len(row) > 1 else None
    return name.decode("utf-8", "replace")


def _whole(line: bytes) -> bool:
    """Whether a line is as it was written: not torn by a kill, nor damaged."""
    try:
        return int(line[:8], 16) == zlib.crc32(line[9:])
    except ValueError:
        return False


def _parse(line: bytes) -> list[Json] | None:
    try:
        row = json.loads(line[9:])
    except ValueError:
        return None
    return row if isinstance(row, list) and row else None
