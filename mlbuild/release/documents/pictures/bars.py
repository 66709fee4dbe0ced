"""Amounts as bars, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlbuild.release.documents.markup import Markup
from mlbuild.release.documents.pictures.svg import WIDTH, bar, drawing, key, name, stroke, text

_LEFT, _RIGHT, _ROW = 210.0, 150.0, 22.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One row; ``told`` stands behind the bar, ``limit`` is a stroke across it."""

    name: str
    amount: float
    told: str
    tone: str = "bar"  # a class of the style
    limit: float | None = None


def bars(
    title: str, rows: Sequence[Bar], meaning: Sequence[tuple[str, str]] = (), most: float = 0.0
) -> Markup:
    """Bars on a common scale from 0.

    Args:
        title: what the picture shows.
        rows: from top to bottom.
        meaning: (tone, words) where tones mean something.
        most: the scale's end, at least.
    """
    most = max([most, *(r.amount for r in rows), *(r.limit or 0.0 for r in rows)]) or 1.0
    room, top = WIDTH - _LEFT - _RIGHT, 22.0 if meaning else 4.0
    drawn = key(_LEFT, 12, list(meaning)) if meaning else []
    for index, row in enumerate(rows):
        y = top + _ROW * index
        width = room * max(row.amount, 0.0) / most
        drawn.append(name(_LEFT - 10, y + 15, row.name, _LEFT - 16))
        drawn.append(bar(_LEFT, y + 3, width, _ROW - 6, row.tone))
        end = width
        if row.limit is not None:
            x = _LEFT + room * row.limit / most
            drawn.append(stroke(x, y, x, y + _ROW, "limit"))
            end = max(end, x - _LEFT)
        drawn.append(text(_LEFT + end + 8, y + 15, row.told))
    return drawing(WIDTH, top + _ROW * len(rows) + 4, title, *drawn)
