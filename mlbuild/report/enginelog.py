"""The engine's own log: what was built when, with which outcome, for whoever asks later.

`.mlbuild/logs/mlbuild.log`, rotated. It is written beside what the user sees and never stops a
build: a log that cannot be written is given up.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from mlbuild.records import BuildResult, Listener, Stage, StageResult
from mlbuild.report import words

_BYTES, _KEPT = 1 << 20, 3


class EngineLog:
    """Passes everything on to another listener and writes the outcomes down."""

    def __init__(self, listener: Listener, folder: Path) -> None:
        self._listener = listener
        self._logger = logging.Logger("mlbuild")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = _Quiet(folder / "mlbuild.log", maxBytes=_BYTES, backupCount=_KEPT)
        except OSError:
            return
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))
        self._logger.addHandler(handler)

    def began(self, pipeline: str, stages: Sequence[Stage], todo: int) -> None:
        """The plan stands."""
        self._logger.info("%s: %d stages, %d to do: %s", pipeline, len(stages), todo, sys.argv[1:])
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
        self._logger.info("%s: retried: %s", stage, message)
        self._listener.retried(stage, message)

    def warned(self, text: str) -> None:
        """A warning."""
        self._logger.info("warning: %s", text)
        self._listener.warned(text)

    def noted(self, text: str) -> None:
        """A note."""
        self._logger.info("%s", text)
        self._listener.noted(text)

    def ended(self, result: StageResult) -> None:
        """A stage ended."""
        why = words.reasons(result.reasons)
        message = result.failure.message if result.failure else ""
        self._logger.info(
            "%s: %s %.3f s [%s] %s", result.stage, result.outcome, result.seconds, why, message
        )
        self._listener.ended(result)

    def finished(self, result: BuildResult) -> None:
        """The build ended."""
        self._logger.info(
            "%s: exit %d after %.3f s: %s",
            result.pipeline,
            result.exit_code,
            result.seconds,
            words.counts(result),
        )
        self._listener.finished(result)
        for handler in list(self._logger.handlers):
            handler.close()
            self._logger.removeHandler(handler)


class _Quiet(RotatingFileHandler):
    """A full disk is told by what matters, not by the log."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Gives up on the record."""
