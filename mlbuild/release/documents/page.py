"""The model card as one page: pictures inside, nothing fetched from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mlbuild.release.documents.blocks import (
    Block,
    Bullets,
    Code,
    Folded,
    Glance,
    Line,
    Link,
    Listing,
    Paragraph,
    Picture,
    Section,
    Span,
    Strong,
    Table,
)
from mlbuild.release.documents.card import card, title
from mlbuild.release.documents.markup import Markup, element, escaped, joined
from mlbuild.release.facts import ReleaseFacts

_STYLE = Path(__file__).with_name("page.css")
# Nothing may be fetched or run, whatever a name in the page tries.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_WEB = re.compile(r"https?://", re.I)


def page_text(facts: ReleaseFacts) -> str:
    """card.html."""
    return page(title(facts), card(facts))


def page(title: str, sections: Iterable[Section]) -> str:
    """A page of its own; well-formed XML too, so that any parser reads it."""
    found = list(sections)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup("\n" + _STYLE.read_text(encoding="utf-8"))),
    )
    heads = [section for section in found if section.title]
    links = [element("a", s.title, href=f"#{_anchor(s)}") for s in heads]
    header = element("header", element("h1", title), element("nav", *links))
    main = element("main", joined(*(_section(section) for section in found)))
    body = element("body", header, Markup("\n"), main)
    return f"<!DOCTYPE html>\n{element('html', head, Markup(chr(10)), body, lang='en')}\n"


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")


def _section(section: Section) -> Markup:
    if not section.title:
        return element("section", *_blocks(section.blocks))
    heading = element("h2", section.title)
    return element("section", heading, *_blocks(section.blocks), id=_anchor(section))


def _blocks(blocks: Iterable[Block]) -> list[Markup]:
    return [Markup("\n" + _block(block)) for block in blocks]


def _block(block: Block) -> Markup:
    match block:
        case Paragraph():
            return element("p", *_line(block.line))
        case Bullets():
            return element("ul", *(element("li", *_line(item)) for item in block.items))
        case Table():
            return _table(block)
        case Listing():
            lines = [escaped(line) for line in block.text.rstrip().split("\n")]
            return element("pre", element("code", joined(*lines)))
        case Glance():
            tiles = [_tile(name, value) for name, value in block.rows]
            return element("dl", *tiles, class_="glance")
        case Folded():
            return element("details", element("summary", block.summary), *_blocks(block.blocks))
        case Picture():
            return element("figure", block.svg, element("figcaption", block.caption))


def _tile(name: str, value: Line) -> Markup:
    return element("div", element("dt", name), element("dd", *_line(value)))


def _table(block: Table) -> Markup:
    head = [element("th", name, class_=_side(block, i)) for i, name in enumerate(block.header)]
    rows = [
        element(
            "tr", *(element("td", *_line(c), class_=_side(block, i)) for i, c in enumerate(row))
        )
        for row in block.rows
    ]
    body = element("tbody", joined(*rows))
    table = element("table", element("thead", element("tr", *head)), body)
    return element("div", table, class_="wide")


def _side(block: Table, column: int) -> str | None:
    return "number" if column in block.numbers else None


def _line(line: Line) -> list[Markup]:
    return [_span(span) for span in line]


def _span(span: Span) -> Markup:
    match span:
        case Code():
            return element("code", span.text)
        case Strong():
            return element("strong", span.text)
        case Link():
            if _WEB.match(span.address):
                return element("a", span.text, href=span.address, rel="noreferrer")
            return escaped(span.text)
        case str():
            return escaped(span)
