"""Lines and bars on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from mlbuild.report.screen import Span


class Terminal:
    """A `Screen` with colours and bars."""

    has_bars = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True)
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}

    def line(self, *spans: Span) -> None:
        """Writes one line above the bars."""
        text = Text.assemble(*spans)
        self._console.print(text, highlight=False, soft_wrap=True)

    def bar(self, name: str, done: float, total: float | None, text: str) -> None:
        """Draws how far something is."""
        if self._progress is None:
            self._progress = self._begun()
        if name not in self._bars:
            self._bars[name] = self._progress.add_task("", total=None, stage=Text(name))
        self._progress.update(
            self._bars[name], completed=done, total=total, description=Text(text).markup
        )

    def drop(self, name: str) -> None:
        """Removes a bar."""
        if self._progress and name in self._bars:
            self._progress.remove_task(self._bars.pop(name))

    def clear(self) -> None:
        """Removes all bars."""
        if self._progress:
            self._progress.stop()
        self._progress = None
        self._bars.clear()

    def _begun(self) -> Progress:
        progress = Progress(
            TextColumn("  {task.fields[stage]}", style="bold"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}", style="dim"),
            console=self._console,
            transient=True,
        )
        progress.start()
        return progress


def plain_console(stderr: bool = False) -> Console:
    """A console that never wraps, and writes no control codes where there is no terminal."""
    return Console(stderr=stderr, soft_wrap=True)
