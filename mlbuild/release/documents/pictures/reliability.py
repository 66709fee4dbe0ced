"""How far a classifier's confidence can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlbuild.records import Json
from mlbuild.release.documents.markup import Markup, element
from mlbuild.release.documents.pictures.svg import bar, drawing, stroke, text
from mlbuild.release.documents.wording import measured

_SIDE, _LEFT, _TOP = 260.0, 50.0, 10.0


def reliability(title: str, rows: Sequence[Mapping[str, Json]]) -> Markup | None:
    """Share of right answers over confidence; a point's area grows with its answers.

    Args:
        title: what the picture shows.
        rows: {"confidence", "accuracy", "n"} of each bin; None is returned where that is missing.
    """
    points = []
    for row in rows:
        three = [measured(row.get(k)) for k in ("confidence", "accuracy", "n")]
        points += [[m.value for m in three if m is not None]] if all(three) else []
    if not points:
        return None
    most = max(n for _, _, n in points) or 1
    drawn = [bar(_LEFT, _TOP, _SIDE, _SIDE, "cell")]
    drawn.append(stroke(_LEFT, _TOP + _SIDE, _LEFT + _SIDE, _TOP, "grid"))
    for tick in (0.0, 0.5, 1.0):
        drawn.append(text(_LEFT + tick * _SIDE, _TOP + _SIDE + 16, f"{tick:g}", anchor="middle"))
        drawn.append(text(_LEFT - 6, _TOP + (1 - tick) * _SIDE + 4, f"{tick:g}", anchor="end"))
    for confidence, accuracy, n in sorted(points):
        x, y = _LEFT + confidence * _SIDE, _TOP + (1 - accuracy) * _SIDE
        drawn.append(element("circle", cx=x, cy=y, r=3 + 7 * math.sqrt(n / most), class_="soft"))
    middle = text(_LEFT + _SIDE / 2, _TOP + _SIDE + 34, "confidence", anchor="middle")
    side = element("g", text(0, 0, "right answers", anchor="middle"), transform="rotate(-90)")
    shifted = element("g", side, transform=f"translate(16 {_TOP + _SIDE / 2:g})")
    return drawing(_LEFT + _SIDE + 16, _TOP + _SIDE + 42, title, *drawn, middle, shifted)
