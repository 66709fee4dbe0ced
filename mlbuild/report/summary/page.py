"""A report before it has a format: what text, Markdown and HTML are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a piece of a report means to who reads it."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"  # not wrong, but to be looked at


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of text and what it means."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; ``figures`` are the columns that hold numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    figures: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: a table, lines, or both; a folded one is shown on demand."""

    title: str
    table: Table | None = None
    lines: tuple[Cell, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report; ``marker`` tells a bot which of its comments this one replaces."""

    title: str
    marker: str
    verdict: Cell
    notes: tuple[Cell, ...] = ()
    sections: tuple[Section, ...] = ()


def table(
    columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]], figures: tuple[str, ...] = ()
) -> Table:
    """A table without the columns in which no row has anything."""
    used = [n for n, _ in enumerate(columns) if any(row[n].text for row in rows)]
    return Table(
        tuple(columns[n] for n in used),
        tuple(tuple(row[n] for n in used) for row in rows),
        frozenset(figures),
    )
