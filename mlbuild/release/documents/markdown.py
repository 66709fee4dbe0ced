"""Blocks as Markdown (CommonMark with GitHub's tables); nothing of a user's text is syntax."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
from mlbuild.release.documents.markup import escaped, visible

_SPECIAL = re.compile(r"[\\`*\[\]|~$<>&]")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
# Within a word an underscore means nothing: max_abs stays legible.
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# What makes a list, a heading, a rule or an underline of a line that begins with it.
_BEGINNING = re.compile(r"#{1,6}|[-+=:]|\d{1,9}(?=[.)])")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9./_~%?&=#@:+,-]+")


def render(title: str, sections: Iterable[Section]) -> str:
    """A document with its title."""
    parts = [f"# {_heading(title)}"]
    for section in sections:
        parts += [f"## {_heading(section.title)}"] if section.title else []
        parts += blocks(section.blocks)
    return "\n\n".join(parts) + "\n"


def blocks(found: Iterable[Block]) -> list[str]:
    """Each block's text; empty ones are left out."""
    return [text for block in found if (text := _block(block))]


def escape(text: str) -> str:
    """Text that shows as it is within a line."""
    text = _SPECIAL.sub(lambda m: _ENTITIES.get(m[0], f"\\{m[0]}"), _flat(text))
    return _UNDERSCORE.sub(r"\\_", text)


def code(text: str, in_table: bool = False) -> str:
    """A span of code that holds any text, backticks too."""
    text = _flat(text)
    if not text or (in_table and "|" in text):
        # Nothing parts a bar in code from the end of a cell in every reader.
        return escape(text).replace("\\|", "&#124;")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _flat(text: str) -> str:
    return " ".join(visible(text).split())


def _heading(text: str) -> str:
    """Marks at a heading's end would close it."""
    return re.sub(r"(#+)$", r"\\\1", escape(text))


def _line(line: Line, in_table: bool = False) -> str:
    text = "".join(_span(span, in_table) for span in line).strip()
    found = _BEGINNING.match(text) if line and isinstance(line[0], str) and not in_table else None
    if found is None:
        return text
    at = found.end() if found[0][0].isdigit() else 0  # "1." is disarmed at its dot
    return f"{text[:at]}\\{text[at:]}"


def _span(span: Span, in_table: bool) -> str:
    match span:
        case Code():
            return code(span.text, in_table)
        case Strong():
            return f"**{escape(span.text)}**"
        case Link():
            return _link(span)
        case str():  # with the spaces at its ends, which part it from its neighbours
            shown = visible(span)
            before, after = shown[:1] == " ", shown[-1:] == " " and shown.strip()
            return f"{' ' if before else ''}{escape(shown)}{' ' if after else ''}"


def _link(link: Link) -> str:
    if not _ADDRESS.fullmatch(link.address):
        return escape(link.text)
    return f"[{escape(link.text)}]({link.address})"


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return _line(block.line)
        case Bullets():
            return "\n".join(f"- {_line(item)}" for item in block.items)
        case Table():
            return _table(block.header, block.rows, block.numbers)
        case Glance():
            rows = tuple(((name,), value) for name, value in block.rows)
            return _table(("", ""), rows, frozenset())
        case Listing():
            return _listing(block)
        case Folded():
            return _folded(block)
        case Picture():
            return "\n\n".join(blocks(block.instead))


def _folded(block: Folded) -> str:
    """Code hosts and hubs fold it; elsewhere the tags are lines of their own."""
    inner = "\n\n".join(blocks(block.blocks))
    summary = f"<details>\n<summary>{escaped(_flat(block.summary))}</summary>"
    return f"{summary}\n\n{inner}\n\n</details>" if inner else ""


def _table(
    header: tuple[str, ...], rows: tuple[tuple[Line, ...], ...], numbers: frozenset[int]
) -> str:
    if not rows:
        return ""
    rules = ["---:" if i in numbers else "---" for i in range(len(header))]
    lines = [_row([escape(name) for name in header]), _row(rules)]
    lines += [_row([_line(cell, in_table=True) for cell in row]) for row in rows]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _listing(block: Listing) -> str:
    runs = re.findall(r"^`{3,}", block.text, re.M)
    fence = "`" * max([3, *(len(run) + 1 for run in runs)])
    return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}"
