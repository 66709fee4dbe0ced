"""Where lines for people go: a terminal, with colours and bars, or a file, plain.

What draws on terminals is imported only where there is one.
"""

from __future__ import annotations

import sys
from typing import Protocol, TextIO

Span = str | tuple[str, str]  # text, or text and its style: "dim", "bold red"


class Screen(Protocol):
    """What a report writes to."""

    @property
    def has_bars(self) -> bool:
        """Whether progress can be drawn."""

    def line(self, *spans: Span) -> None:
        """Writes one line."""

    def bar(self, name: str, done: float, total: float | None, text: str) -> None:
        """Draws how far something is, below all lines; the first call makes the bar."""

    def drop(self, name: str) -> None:
        """Removes a bar."""

    def clear(self) -> None:
        """Removes all bars."""


class Plain:
    """Plain lines, no control codes."""

    has_bars = False

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def line(self, *spans: Span) -> None:
        """Writes one line."""
        text = "".join(span if isinstance(span, str) else span[0] for span in spans)
        file = self._file or sys.stdout
        file.write(text + "\n")
        file.flush()

    def bar(self, name: str, done: float, total: float | None, text: str) -> None:
        """Draws nothing."""

    def drop(self, name: str) -> None:
        """There is none."""

    def clear(self) -> None:
        """There are none."""


def standard_output() -> Screen:
    """The screen of a command."""
    if not sys.stdout.isatty():
        return Plain()
    from mlbuild.report.terminal import Terminal  # lazy: rich takes 50 ms

    return Terminal()


def drawn(file: TextIO) -> Screen:
    """What a terminal would be given, written to a file."""
    from rich.console import Console  # lazy: as above

    from mlbuild.report.terminal import Terminal

    return Terminal(Console(file=file, soft_wrap=True, force_terminal=True))
