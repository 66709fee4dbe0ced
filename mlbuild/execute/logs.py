"""Logs of stages: the last three attempts of each, without the values of secrets."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mlbuild.attempts import Task

KEPT = 3  # attempts of one stage
_HIDDEN = b"***"
_TAIL_BYTES = 65_536
_LINE = 500  # characters of a line that are shown


def attempts(log: Path) -> list[Path]:
    """The logs of a stage that there are, newest first."""
    return [path for path in _names(log) if path.is_file()]


def start(task: Task) -> Log:
    """Opens the log of a new attempt; older ones move on by one, the oldest goes.

    A log that cannot be written (the disk is full, the folder is read-only) must not stop a stage:
    its output is dropped instead.
    """
    try:
        descriptor = _opened(task.log)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    log = Log(task.log, descriptor, task.masked)
    what = f"$ {task.argv[-1]}" if task.argv else f"run by {task.python}"
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    log.start = log.write(f"--- {task.stage}, attempt {task.attempt}, {when}\n{what}\n")
    return log


class Log:
    """The log of one attempt while the attempt runs."""

    def __init__(self, path: Path, descriptor: int, secrets: Sequence[str]) -> None:
        self.path = path
        self.descriptor = descriptor  # a process writes to it directly where nothing is masked
        self.start = 0  # where the process's own output begins
        self._mask = Mask(secrets)

    def write(self, text: str) -> int:
        """Adds our own text; how many bytes it took, 0 if it could not be written."""
        return self._put(self._mask.whole(text.encode("utf-8", "replace")))

    def copy(self, data: bytes) -> None:
        """Adds what a process wrote, masked; a secret may come in two pieces."""
        self._put(self._mask.feed(data))

    def hide(self, text: str) -> str:
        """The text as it may be shown: without secrets, and without halves of characters."""
        return self._mask.text(text).encode("utf-8", "backslashreplace").decode("utf-8")

    def finish(self) -> None:
        """Writes what was held back and closes the file."""
        self._put(self._mask.rest())
        with suppress(OSError):
            os.close(self.descriptor)

    def tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines that the process, which has ended, wrote."""
        self._put(self._mask.rest())
        return tuple(tail(self.path, lines, self.start))

    def _put(self, data: bytes) -> int:
        written = 0
        with suppress(OSError):  # the disk is full
            while written < len(data):
                written += os.write(self.descriptor, data[written:])
        return written


class Mask:
    """Replaces the values of secrets in a stream of bytes."""

    def __init__(self, secrets: Sequence[str]) -> None:
        values = {value.encode("utf-8", "surrogateescape") for value in secrets if value}
        # Lines of a key that is printed with something in front of each.
        values |= {line for value in values for line in value.split(b"\n") if len(line) >= 8}
        self._values = sorted(values, key=len, reverse=True)
        self._keep = max((len(value) for value in values), default=1) - 1
        self._held = b""

    def whole(self, data: bytes) -> bytes:
        """The data without secrets."""
        for value in self._values:
            data = data.replace(value, _HIDDEN)
        return data

    def text(self, text: str) -> str:
        """The text without secrets."""
        if not self._values:
            return text
        return self.whole(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def feed(self, data: bytes) -> bytes:
        """What may be shown so far; the end is held back, a secret may have begun in it."""
        held = self.whole(self._held + data)
        cut = max(0, len(held) - self._keep)
        self._held = held[cut:]
        return held[:cut]

    def rest(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return held


def tail(path: Path, lines: int = 20, start: int = 0) -> list[str]:
    """The last lines of a log; of a line that a progress bar wrote over itself, the last state."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(start, size - _TAIL_BYTES)
            file.seek(begin)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    rows = [row.rstrip("\r").rpartition("\r")[2].rstrip() for row in text.split("\n")]
    if begin > start:
        rows = rows[1:] or rows  # the first one was cut
    while rows and not rows[-1]:
        rows.pop()
    return [_printable(row[:_LINE]) for row in rows[-lines:]]


def _printable(row: str) -> str:
    """Control codes of a stage's output must not reach the user's terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in row)


def _names(log: Path) -> list[Path]:
    return [log, *(log.with_name(f"{log.name}.{n}") for n in range(1, KEPT))]


def _opened(log: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(log, flags | os.O_EXCL, 0o644)
    except FileExistsError:
        _rotate(log)
    except FileNotFoundError:
        log.parent.mkdir(parents=True, exist_ok=True)
    return os.open(log, flags | os.O_TRUNC, 0o644)


def _rotate(log: Path) -> None:
    if not log.is_file():  # a device is not ours to rename
        return
    names = _names(log)
    for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
        with suppress(FileNotFoundError):
            newer.replace(older)
