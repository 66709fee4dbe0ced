"""A report as a comment on a pull request: a compact table, the rest folded.

What it shows comes from files that a stranger may have written (names of labels, of operators, of
parameters), and it is posted with a bot's rights: everything is escaped, so that no name becomes
a mention, a link, a picture or HTML.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator

from mlbuild.report.summary.page import Cell, Page, Section, Table, Tone

ROOM = 60_000  # characters; a comment may have 65,536, and a bot may add some
_SIGNS = {Tone.GOOD: "✅ ", Tone.BAD: "❌ ", Tone.DOUBT: "⚠️ ", Tone.PLAIN: ""}
_SPECIAL = re.compile(r"([\\`*_\[\]#!|~$])")
_BLOCK = re.compile(r"^(?=[+-](?:\s|$)|--|\d+[.)](?:\s|$)|==)")  # what makes a list or a line
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])")
_JOINER = "&#8203;"  # a space of no width: what follows is no mention, reference or address


def markdown(page: Page, room: int = ROOM) -> str:
    """GitHub's Markdown; GitLab reads it too.

    Args:
        page: what to tell.
        room: characters that it may have; whole sections are left out where it would have more.
    """
    head = [
        f"<!-- {marker(page)} -->",
        f"### {_SIGNS[page.verdict.tone]}{escaped(page.title)}: {escaped(page.verdict.text)}",
    ]
    if page.notes:
        head += ["", *(f"- {_SIGNS[note.tone]}{escaped(note.text)}" for note in page.notes)]
    parts, left = ["\n".join(head)[:room]], []
    for section in page.sections:
        part = "\n".join(_section(section))
        if sum(map(len, parts)) + len(part) > room:
            left.append(section.title)
        else:
            parts.append(part)
    if left:
        parts.append(f"Too long for a comment, so left out: {escaped(', '.join(left))}.")
    return "\n\n".join(parts)


def marker(page: Page) -> str:
    """What the hidden comment holds by which a bot finds its own again; it cannot end early."""
    plain = re.sub(r"-+", "-", re.sub(r"[^A-Za-z0-9 :._/@-]", "-", page.marker))
    if plain == page.marker:
        return plain
    return f"{plain} {hashlib.sha256(page.marker.encode()).hexdigest()[:8]}"  # still one of its own


def _section(section: Section) -> Iterator[str]:
    if section.folded:
        yield f"<details><summary>{html.escape(section.title)}</summary>"
        yield ""
    elif section.title:
        yield f"**{escaped(section.title)}**"
        yield ""
    if section.table:
        yield from _table(section.table)
    if section.lines and section.table:
        yield ""
    yield from (f"- {_cell(line)}" for line in section.lines)
    if section.folded:
        yield ""
        yield "</details>"


def _table(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(escaped(name) for name in table.columns)} |"
    yield f"|{'|'.join(' ---: ' if name in table.figures else ' --- ' for name in table.columns)}|"
    for row in table.rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(cell: Cell) -> str:
    return f"{_SIGNS[cell.tone]}{escaped(cell.text)}" if cell.text else ""


def escaped(text: str) -> str:
    """Text that means nothing but itself, in one line."""
    line = " ".join(text.split())
    line = html.escape(line, quote=False)
    line = _SPECIAL.sub(r"\\\1", line)
    line = _BLOCK.sub(_JOINER, re.sub(r"(@|\\#(?=\d))", rf"\1{_JOINER}", line))
    return _ADDRESS.sub(rf"\1{_JOINER}", line)
