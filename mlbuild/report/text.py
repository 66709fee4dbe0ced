"""A build as text: one line a stage, and a summary with sizes and times.

On a terminal, running stages have a progress bar and reasons are grey; elsewhere lines are plain.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlbuild.records import BuildResult, Outcome, Stage, StageOutput, StageResult
from mlbuild.report import words
from mlbuild.report.screen import Screen, Span

_COLOURS = {
    Outcome.RAN: "green",
    Outcome.RESTORED: "cyan",
    Outcome.REUSED: "dim",
    Outcome.FAILED: "bold red",
    Outcome.GATE_FAILED: "bold red",
    Outcome.EXCLUDED: "yellow",
    Outcome.SKIPPED: "yellow",
    Outcome.CANCELLED: "yellow",
}
_MANY = 60  # stages; of more, those that are reused are only counted
_QUIET_SECONDS = 10.0  # between two progress lines of a stage where there is no terminal


class Text:
    """Tells a build to a screen. `level`: -1 only failures and the summary, 1 also logs."""

    def __init__(self, screen: Screen, level: int = 0) -> None:
        self._screen, self._level = screen, level
        self._bars = screen.has_bars and level >= 0
        self._width = 0
        self._many = False
        self._leaves: set[str] = set()
        self._last: dict[str, float] = {}

    def began(self, pipeline: str, stages: Sequence[Stage], todo: int) -> None:
        """Says how much there is to do."""
        self._screen.clear()  # of planning, or of the first part of a build in two
        self._width = max((len(s.name) for s in stages), default=0)
        self._leaves = leaves(stages)
        self._many = len(stages) > _MANY and self._level < 1
        if self._level >= 0 and todo:
            self._screen.line(f"{pipeline}: {len(stages)} stages, {todo} to run or to decide")

    def started(self, stage: str) -> None:
        """A stage's process was started."""
        self._screen.drop("")
        if self._bars:
            self._screen.bar(stage, 0, None, "")
        elif self._level > 0:
            self._screen.line(f"  {stage}: started")

    def advanced(self, stage: str, done: float, total: float | None, text: str) -> None:
        """A bar on a terminal, now and then a line elsewhere."""
        if self._bars:
            self._screen.bar(stage, done, total, text)
        elif self._level >= 0:
            now = time.monotonic()
            if now - self._last.setdefault(stage, now) >= _QUIET_SECONDS:
                self._last[stage] = now
                share = f"{100 * done / total:.0f} % " if total else ""
                who = f"{stage}: " if stage else ""  # no stage: the engine itself
                self._screen.line(f"  {who}{share}{text}")

    def logged(self, stage: str, text: str) -> None:
        """What a stage says, with -v."""
        if self._level > 0:
            self._screen.line(f"  {stage}: {text}")

    def retried(self, stage: str, message: str) -> None:
        """An attempt failed and another follows."""
        self._screen.drop(stage)
        self._screen.line((f"  {stage}: {message}; trying again", "yellow"))

    def warned(self, text: str) -> None:
        """Something the user should look at; shown even with -q."""
        self._screen.line((f"warning: {text}", "yellow"))

    def noted(self, text: str) -> None:
        """Something the user may want to know."""
        if self._level >= 0:
            self._screen.line((text, "dim"))

    def ended(self, result: StageResult) -> None:
        """One line a stage."""
        self._screen.drop(result.stage)
        bad = result.outcome in (Outcome.FAILED, Outcome.GATE_FAILED)
        boring = result.outcome is Outcome.REUSED and self._many
        if bad or (self._level >= 0 and not boring):
            self._screen.line(*self._line(result))
        for text in words.failure_lines(result):
            self._screen.line("    " + text)
        for gate in result.gates:
            if not gate.ok:
                self._screen.line((f"    gate: {gate.text}", "yellow"))
        for note in result.notes:
            if self._level >= 0:
                self._screen.line((f"    {note}", "dim"))

    def finished(self, result: BuildResult) -> None:
        """The summary."""
        self._screen.clear()
        for note in result.notes:
            self._screen.line((note, "dim"))
        for path, shown in words.artifacts(result, self._leaves) if result.ok else []:
            if self._level >= 0:
                self._screen.line(f"  {path}  ", (shown, "dim"))
        style = "green" if result.ok else "bold red"
        self._screen.line((summary(result), style))

    def _line(self, result: StageResult) -> list[Span]:
        outcome = str(result.outcome).replace("_", " ")
        colour = _COLOURS[result.outcome]
        took = words.seconds(result.seconds) if result.outcome is Outcome.RAN else ""
        why = words.reasons(result.reasons)
        name = f"  {result.stage.ljust(self._width)}  "
        if not (took or why):
            return [name, (outcome, colour)]
        line: list[Span] = [name, (f"{outcome:11}", colour), f" {took:>10}"]
        return [*line, (f"  {why}", "dim")] if why else line


def summary(result: BuildResult) -> str:
    """The last line of a build."""
    verdict = "ok" if result.ok else f"failed (exit {result.exit_code})"
    return (
        f"{result.pipeline}: {verdict} in {words.seconds(result.seconds)}: {words.counts(result)}"
    )


def leaves(stages: Sequence[Stage]) -> set[str]:
    """The stages whose outputs no other stage reads."""
    read = {
        source.stage
        for stage in stages
        for item in stage.inputs
        for source in item.sources
        if isinstance(source, StageOutput)
    }
    return {s.name for s in stages} - read
