"""What a document consists of, before it is Markdown or a page.

Text in here is plain: whoever renders it escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlbuild.release.documents.markup import Markup


@dataclass(frozen=True, slots=True)
class Code:
    """A name, a command or a digest within a line."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """What should not be overlooked."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """An address of the web; others are shown as text."""

    text: str
    address: str


Span = str | Code | Strong | Link
Line = tuple[Span, ...]  # one after the other, with nothing between them


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    line: Line


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the columns in ``numbers`` are aligned to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines of a program or of a terminal."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Glance:
    """The few figures that a reader looks for first."""

    rows: tuple[tuple[str, Line], ...]  # name, value


@dataclass(frozen=True, slots=True)
class Folded:
    """What is long and rarely read: a page shows the summary until it is opened."""

    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG for the page with words below it, and what Markdown shows in its place."""

    svg: Markup
    caption: str
    instead: tuple[Block, ...] = ()


Block = Paragraph | Bullets | Table | Listing | Glance | Folded | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows."""

    title: str
    blocks: tuple[Block, ...]


def line(*spans: Span) -> Line:
    """A line of text; reads better than a tuple of one."""
    return spans


def paragraphs(text: str) -> tuple[Block, ...]:
    """What a user wrote: paragraphs at empty lines, and a list where every line has a dash."""
    found: list[Block] = []
    for part in text.replace("\r\n", "\n").split("\n\n"):
        lines = [row.strip() for row in part.split("\n") if row.strip()]
        if lines and all(row.startswith(("- ", "* ")) for row in lines):
            found.append(Bullets(tuple((row[2:].strip(),) for row in lines)))
        elif lines:
            found.append(Paragraph((" ".join(lines),)))
    return tuple(found)
