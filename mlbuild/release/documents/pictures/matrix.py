"""A confusion matrix."""

from __future__ import annotations

from mlbuild.release.documents.figures import Confusion
from mlbuild.release.documents.markup import Markup, element
from mlbuild.release.documents.pictures.svg import WIDTH, bar, drawing, name, text

MOST = 60  # labels; a larger matrix is no picture any more
_LEFT = 150.0
_COUNTED = 22  # labels up to which there is room for the counts


def matrix(title: str, confusion: Confusion) -> Markup:
    """Rows are the truth, columns the answers; a cell is as dark as its share of the row."""
    size = min(44.0, (WIDTH - _LEFT - 20) / max(len(confusion.labels), 1))
    head = 24 + 5.0 * min(max((len(label) for label in confusion.labels), default=0), 20)
    drawn = [text(_LEFT - 12, head - 8, "truth \N{DOWNWARDS ARROW}", anchor="end", class_="muted")]
    for i, label in enumerate(confusion.labels):
        middle = (i + 0.5) * size + 4
        drawn.append(name(_LEFT - 10, head + middle, label, _LEFT - 16))
        turned = f"translate({_LEFT + middle:.1f} {head - 8:g}) rotate(-50)"
        drawn.append(element("g", name(0, 0, label, 130, anchor="start"), transform=turned))
    counted = len(confusion.labels) <= _COUNTED
    for t, row in enumerate(confusion.counts):
        for p, count in enumerate(row):
            share, tone = count / max(sum(row), 1), "right" if t == p else "wrong"
            x, y = _LEFT + p * size, head + t * size
            drawn += _cell(x, y, str(count) if counted else "", share, tone, size)
    side = size * len(confusion.labels)
    return drawing(_LEFT + side + 60, head + side + 8, title, *drawn)


def _cell(x: float, y: float, count: str, share: float, tone: str, size: float) -> list[Markup]:
    side = size - 1
    drawn = [bar(x + 0.5, y + 0.5, side, side, "cell")]
    if not share:
        return drawn
    shade = 0.12 + 0.88 * share**0.7  # rare confusions can still be told from none
    where = {"x": x + 0.5, "y": y + 0.5, "width": side, "height": side, "rx": 2}
    drawn.append(element("rect", **where, class_=tone, opacity=f"{shade:.2f}"))
    if count:
        class_ = "on-dark" if shade > 0.55 else "ink"
        drawn.append(text(x + size / 2, y + size / 2 + 4, count, anchor="middle", class_=class_))
    return drawn
