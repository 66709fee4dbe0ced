"""Shares as points with their 95 % intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlbuild.release.documents.markup import Markup, element
from mlbuild.release.documents.pictures.svg import WIDTH, drawing, name, stroke, text
from mlbuild.release.documents.wording import Measured

_LEFT, _RIGHT, _ROW, _TOP = 210.0, 90.0, 26.0, 30.0


@dataclass(frozen=True, slots=True)
class Point:
    """One row: a share, what it was, and the least that it may be."""

    name: str
    now: Measured
    before: Measured | None = None
    least: float | None = None


def shares(title: str, points: Sequence[Point]) -> Markup:
    """Points on a common scale that ends at 1 and begins where the lowest of them needs it."""
    start = _start(points)
    height = _TOP + _ROW * len(points) + 8
    drawn = [mark for tick in _ticks(start) for mark in _grid(tick, start, height)]
    for row, point in enumerate(points):
        drawn += _row(point, _TOP + _ROW * (row + 0.5), start)
    return drawing(WIDTH, height, title, *drawn)


def _start(points: Sequence[Point]) -> float:
    lowest = [v for p in points for v in (p.now.value, p.now.low, p.least) if v is not None]
    lowest += [p.before.value for p in points if p.before]
    return max(0.0, math.floor(min([0.8, *lowest]) * 10) / 10)


def _ticks(start: float) -> list[float]:
    by = 5 if start >= 0.8 else 10 if start >= 0.5 else 20  # in hundredths
    return [hundredth / 100 for hundredth in range(100, round(start * 100) - 1, -by)]


def _x(value: float, start: float) -> float:
    share = (min(max(value, start), 1.0) - start) / (1 - start)
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _grid(tick: float, start: float, height: float) -> list[Markup]:
    x = _x(tick, start)
    return [
        stroke(x, _TOP - 6, x, height - 6, "grid"),
        text(x, _TOP - 10, f"{tick:g}", anchor="middle", class_="muted"),
    ]


def _row(point: Point, y: float, start: float) -> list[Markup]:
    now, drawn = point.now, [name(_LEFT - 14, y + 4, point.name, _LEFT - 20)]
    if now.low is not None and now.high is not None:
        drawn.append(stroke(_x(now.low, start), y, _x(now.high, start), y, "whisker"))
    if point.least is not None:
        x = _x(point.least, start)
        drawn.append(stroke(x, y - 9, x, y + 9, "limit"))
    if point.before is not None:
        drawn.append(element("circle", cx=_x(point.before.value, start), cy=y, r=4, class_="was"))
    drawn.append(element("circle", cx=_x(now.value, start), cy=y, r=4.5, class_="dot"))
    n = "" if now.n is None else f" n {now.n:,}"
    drawn.append(text(WIDTH - _RIGHT + 14, y + 4, f"{now.value:.3f}{n}"))
    return drawn


def meaning(points: Sequence[Point]) -> str:
    """What the marks are, for the words below the picture."""
    told = ["the line is the 95 % interval"]
    told += ["the ring the last release"] if any(p.before for p in points) else []
    told += ["the stroke the gate"] if any(p.least is not None for p in points) else []
    return ", ".join(told)
