"""A listener that says nothing: the default of the Python interface, and a base to start from."""

from __future__ import annotations

from collections.abc import Sequence

from mlbuild.records import BuildResult, Stage, StageResult


class Silent:
    """Hears everything, says nothing."""

    def began(self, pipeline: str, stages: Sequence[Stage], todo: int) -> None:
        """The plan stands."""

    def started(self, stage: str) -> None:
        """A stage's process was started."""

    def advanced(self, stage: str, done: float, total: float | None, text: str) -> None:
        """A stage, or with an empty name the engine itself, got on."""

    def logged(self, stage: str, text: str) -> None:
        """A stage said something."""

    def retried(self, stage: str, message: str) -> None:
        """An attempt failed and another follows."""

    def warned(self, text: str) -> None:
        """The user should look at something."""

    def noted(self, text: str) -> None:
        """The user may want to know something."""

    def ended(self, result: StageResult) -> None:
        """A stage ended."""

    def finished(self, result: BuildResult) -> None:
        """The build ended."""
