"""A confusion matrix."""

from __future__ import annotations

from mlbuild.release.documents.figures import Confusion
from mlbuild.release.documents.markup import Markup, element
from mlbuild.release.documents.pictures.svg import WIDTH, bar, drawing, name, text

MOST = 60  # labels; a larger matrix is no picture any more
_LEFT, _HEAD = 150.0, 120.0
_COUNTED = 22  # labels up to which there is room for the counts


def matrix(title: str, confusion: Confusion) -> Markup:
    """Rows are the truth, columns the answers; a cell is as dark as its share of the row."""
    size = min(44.0, (WIDTH - _LEFT - 20) / max(len(confusion.labels), 1))
    drawn = [text(_LEFT - 12, _HEAD - 8, "truth \N{DOWNWARDS ARROW}", anchor="end", class_="muted")]
    for i, label in enumerate(confusion.labels):
        middle = (i + 0.5) * size + 4
        drawn.append(name(_LEFT - 10, _HEAD + middle, label, _LEFT - 16))
        turned = f"translate({_LEFT + middle:.1f} {_HEAD - 8:g}) rotate(-50)"
        drawn.append(element("g", name(0, 0, label, 130, anchor="start"), transform=turned))
    for t, row in enumerate(confusion.counts):
        for p, count in enumerate(row):
            drawn += _cell(t, p, count, sum(row), size, len(row))
    side = size * len(confusion.labels)
    return drawing(_LEFT + side + 60, _HEAD + side + 8, title, *drawn)


def _cell(t: int, p: int, count: int, total: int, size: float, labels: int) -> list[Markup]:
    x, y = _LEFT + p * size, _HEAD + t * size
    drawn = [bar(x + 0.5, y + 0.5, size - 1, size - 1, "cell")]
    if not count:
        return drawn
    share = count / max(total, 1)
    tone = "right" if t == p else "wrong"
    shade = 0.12 + 0.88 * share**0.7  # rare confusions can still be told from none
    filled = element(
        "rect", x=x + 0.5, y=y + 0.5, width=size - 1, height=size - 1, rx=2, class_=tone,
        opacity=f"{shade:.2f}",
    )  # fmt: skip
    drawn.append(filled)
    if labels <= _COUNTED:
        class_ = "on-dark" if shade > 0.55 else "ink"
        drawn.append(
            text(x + size / 2, y + size / 2 + 4, str(count), anchor="middle", class_=class_)
        )
    return drawn
