"""What all pictures are drawn with. Lengths are pixels, y grows downwards."""

from __future__ import annotations

from mlbuild.release.documents.markup import Markup, element

WIDTH = 720.0
_LETTER = 6.6  # pixels of a letter at 12 px, on average


def drawing(width: float, height: float, title: str, *children: Markup) -> Markup:
    """The picture as a whole; the title is what a screen reader says."""
    return element(
        "svg",
        element("title", title),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_="picture",
        style=f"max-width:{width:g}px",
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str = "ink") -> Markup:
    """A line of text whose foot stands at (x, y)."""
    return element("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def name(x: float, y: float, words: str, room: float, *, anchor: str = "end") -> Markup:
    """A name that is shortened to the room it has; pointing at it tells it whole."""
    letters = max(int(room / _LETTER), 4)
    if len(words) <= letters:
        return text(x, y, words, anchor=anchor)
    shown = words[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"
    whole = element("title", words)
    return element("text", whole, shown, x=x, y=y, text_anchor=anchor, class_="ink")


def bar(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """A filled rectangle."""
    return element("rect", x=x, y=y, width=max(width, 0.0), height=height, rx=2, class_=class_)


def stroke(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def key(x: float, y: float, rows: list[tuple[str, str]]) -> list[Markup]:
    """What the colours mean: (class, words) side by side."""
    drawn = []
    for class_, words in rows:
        drawn += [bar(x, y - 9, 10, 10, class_), text(x + 15, y, words, class_="muted")]
        x += 15 + _LETTER * len(words) + 22
    return drawn
