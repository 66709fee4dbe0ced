"""A build as text: one line a stage, and a summary with sizes and times.

On a terminal, running stages have a progress bar and reasons are grey; elsewhere lines are plain.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mlbuild.records import BuildResult, Outcome, Stage, StageOutput, StageResult
from mlbuild.report import words

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
    """Tells a build to a console. `level`: -1 only failures and the summary, 1 also logs."""

    def __init__(self, console: Console, level: int = 0) -> None:
        self._console, self._level = console, level
        self._width = 0
        self._many = False
        self._leaves: set[str] = set()
        self._bars: dict[str, TaskID] = {}
        self._last: dict[str, float] = {}
        self._progress: Progress | None = None

    def began(self, pipeline: str, stages: Sequence[Stage], todo: int) -> None:
        """Says how much there is to do."""
        self._width = max((len(s.name) for s in stages), default=0)
        self._leaves = leaves(stages)
        self._many = len(stages) > _MANY and self._level < 1
        if self._level >= 0 and todo:
            self._print(f"{escape(pipeline)}: {len(stages)} stages, {todo} to run or to decide")
        self._show_bars()

    def started(self, stage: str) -> None:
        """A stage's process was started."""
        self._drop("")
        if self._progress:
            self._bars[stage] = self._progress.add_task("", total=None, stage=escape(stage))
        elif self._level > 0:
            self._print(f"  {escape(stage)}: started")

    def advanced(self, stage: str, done: float, total: float | None, text: str) -> None:
        """A bar on a terminal, now and then a line elsewhere."""
        if self._progress is None:
            self._show_bars()  # planning reads data, before there is a word on the build
        if self._progress:
            if stage not in self._bars:  # the engine itself: toolchains, datasets
                self._bars[stage] = self._progress.add_task("", total=None, stage=escape(stage))
            self._progress.update(
                self._bars[stage], completed=done, total=total, description=escape(text)
            )
        elif self._level >= 0:
            now = time.monotonic()
            if now - self._last.setdefault(stage, now) >= _QUIET_SECONDS:
                self._last[stage] = now
                share = f"{100 * done / total:.0f} % " if total else ""
                who = f"{escape(stage)}: " if stage else ""  # no stage: the engine itself
                self._print(f"  {who}{share}{escape(text)}")

    def logged(self, stage: str, text: str) -> None:
        """What a stage says, with -v."""
        if self._level > 0:
            self._print(f"  {escape(stage)}: {escape(text)}")

    def retried(self, stage: str, message: str) -> None:
        """An attempt failed and another follows."""
        self._drop(stage)
        self._print(f"  {escape(stage)}: {escape(message)}; trying again", "yellow")

    def warned(self, text: str) -> None:
        """Something the user should look at; shown even with -q."""
        self._print(f"warning: {escape(text)}", "yellow")

    def noted(self, text: str) -> None:
        """Something the user may want to know."""
        if self._level >= 0:
            self._print(escape(text), "dim")

    def ended(self, result: StageResult) -> None:
        """One line a stage."""
        self._drop(result.stage)
        bad = result.outcome in (Outcome.FAILED, Outcome.GATE_FAILED)
        boring = result.outcome is Outcome.REUSED and self._many
        if bad or (self._level >= 0 and not boring):
            self._print(self._line(result))
        for text in words.failure_lines(result):
            self._print("    " + escape(text))
        for gate in result.gates:
            if not gate.ok:
                self._print(f"    gate: {escape(gate.text)}", "yellow")
        for note in result.notes:
            if self._level >= 0:
                self._print(f"    {escape(note)}", "dim")

    def finished(self, result: BuildResult) -> None:
        """The summary."""
        if self._progress:
            self._progress.stop()
        for note in result.notes:
            self._print(escape(note), "dim")
        for path, shown in words.artifacts(result, self._leaves) if result.ok else []:
            if self._level >= 0:
                self._print(f"  {escape(path)}  [dim]{shown}[/dim]")
        style = "green" if result.ok else "bold red"
        self._print(summary(result), style)

    def _line(self, result: StageResult) -> str:
        outcome = str(result.outcome).replace("_", " ")
        colour = _COLOURS[result.outcome]
        took = words.seconds(result.seconds) if result.outcome is Outcome.RAN else ""
        why = f"  [dim]{words.reasons(result.reasons)}[/dim]" if result.reasons else ""
        name = escape(result.stage.ljust(self._width))
        if not (took or why):
            return f"  {name}  [{colour}]{outcome}[/{colour}]"
        return f"  {name}  [{colour}]{outcome:11}[/{colour}] {took:>10}{why}"

    def _show_bars(self) -> None:
        """Makes room for bars on a terminal; those of an earlier part of the build are gone."""
        if self._progress:
            self._progress.stop()
        self._bars.clear()
        if self._console.is_terminal and self._level >= 0:
            self._progress = Progress(
                TextColumn("  {task.fields[stage]}", style="bold"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn("{task.description}", style="dim"),
                console=self._console,
                transient=True,
            )
            self._progress.start()
            atexit.register(self._progress.stop)  # an error may end us: the cursor comes back

    def _drop(self, stage: str) -> None:
        if self._progress and stage in self._bars:
            self._progress.remove_task(self._bars.pop(stage))

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, highlight=False, soft_wrap=True)


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


def plain_console(stderr: bool = False) -> Console:
    """A console that never wraps, and writes no control codes where there is no terminal."""
    return Console(stderr=stderr, soft_wrap=True)
