"""The engine's own log: what was built when, with which outcome, for whoever asks later.

`.mlbuild/logs/mlbuild.log`, rotated. It is written beside what the user sees and never stops a
build: a log that cannot be written is given up.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mlbuild.records import BuildResult, Listener, Outcome, Stage, StageResult
from mlbuild.report import words

_BYTES, _KEPT = 1 << 20, 3


class EngineLog:
    """Passes everything on to another listener and writes the outcomes down."""

    def __init__(self, listener: Listener, folder: Path) -> None:
        self._listener = listener
        self._file = _File(folder / "mlbuild.log")

    def began(self, pipeline: str, stages: Sequence[Stage], todo: int) -> None:
        """The plan stands."""
        self._file.add(f"{pipeline}: {len(stages)} stages, {todo} to do: {sys.argv[1:]}")
        self._listener.began(pipeline, stages, todo)

    def started(self, stage: str) -> None:
        """A stage's process was started."""
        self._listener.started(stage)

    def advanced(self, stage: str, done: float, total: float | None, text: str) -> None:
        """Progress is not worth keeping."""
        self._listener.advanced(stage, done, total, text)

    def logged(self, stage: str, text: str) -> None:
        """A stage has a log of its own."""
        self._listener.logged(stage, text)

    def retried(self, stage: str, message: str) -> None:
        """An attempt failed and another follows."""
        self._file.add(f"{stage}: retried: {message}")
        self._listener.retried(stage, message)

    def warned(self, text: str) -> None:
        """A warning."""
        self._file.add(f"warning: {text}")
        self._listener.warned(text)

    def noted(self, text: str) -> None:
        """A note."""
        self._file.add(text)
        self._listener.noted(text)

    def ended(self, result: StageResult) -> None:
        """A stage ended; of those that nothing happened to the last line gives the number."""
        if result.outcome is not Outcome.REUSED:
            self._file.add(self._line(result))
        self._listener.ended(result)

    def _line(self, result: StageResult) -> str:
        why = words.reasons(result.reasons)
        message = result.failure.message if result.failure else ""
        took = f"{result.seconds:.3f} s"
        return f"{result.stage}: {result.outcome} {took} [{why}] {message}"

    def finished(self, result: BuildResult) -> None:
        """The build ended."""
        how = f"exit {result.exit_code} after {result.seconds:.3f} s"
        self._file.add(f"{result.pipeline}: {how}: {words.counts(result)}")
        self._listener.finished(result)
        self._file.close()


class _File:
    """Lines with time and process, rotated. A full disk is told by what matters, not by the log.

    One system call a line: the standard library's logging, which looks the file up each time,
    cost a tenth of what a small stage costs altogether.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._size = 0
        self._second, self._clock = 0, ""
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()

    def add(self, text: str) -> None:
        """One line."""
        if self._descriptor < 0:
            return
        line = f"{self._now()} {os.getpid()} {text}\n".encode("utf-8", "replace")
        with suppress(OSError):
            if self._size + len(line) > _BYTES:
                self._rotate()
            self._size += os.write(self._descriptor, line)

    def close(self) -> None:
        """The build ended; a second end of it is not written down."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o666)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        self.close()
        names = [self._path, *(self._path.with_suffix(f".log.{n}") for n in range(1, _KEPT + 1))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            with suppress(FileNotFoundError):
                newer.replace(older)
        self._open()

    def _now(self) -> str:
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        return f"{self._clock},{int(now % 1 * 1000):03d}"
