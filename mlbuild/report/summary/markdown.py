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
        room: characters that it may have; where it would have more, rows are left out that say
            nothing bad, then whole sections.
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
        free = room - sum(map(len, parts))
        if len(part) > free:
            part = "\n".join(_section(_cut(section, free)))
        if len(part) > free:
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


def _cut(section: Section, room: int) -> Section:
    """Without the rows for which there is no room; what is wrong stays longest."""
    if section.table is None:
        return section
    sizes = [len(line) + 1 for line in _table(section.table)]
    left = room - sum(sizes[:2]) - sum(map(len, _section(Section(section.title, folded=True)))) - 40
    order = sorted(range(len(section.table.rows)), key=lambda n: _rank(section.table, n))
    kept: list[int] = []
    for number in order:
        left -= sizes[number + 2]
        if left < 0:
            break
        kept.append(number)
    if not kept:
        return section
    rows = tuple(section.table.rows[number] for number in sorted(kept))
    more = Cell(f"and {len(section.table.rows) - len(kept):,} more rows")
    shown = Table(section.table.columns, rows, section.table.figures)
    return Section(section.title, shown, (*section.lines, more), section.folded)


def _rank(table: Table | None, number: int) -> int:
    """How soon a row may be left out: what is bad last, then what is doubtful."""
    assert table is not None
    tones = {cell.tone for cell in table.rows[number]}
    return 0 if Tone.BAD in tones else 1 if Tone.DOUBT in tones else 2


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
