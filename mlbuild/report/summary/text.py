"""A report for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from mlbuild.report.summary.page import Page, Section, Table


def text(page: Page) -> str:
    """Plain lines; nothing is folded, and nothing is coloured."""
    lines = [f"{page.title}: {page.verdict.text}"]
    lines += [f"  {note.text}" for note in page.notes]
    for section in page.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    if section.title:
        yield f"{section.title}:"
    if section.table:
        yield from _table(section.table)
    yield from (f"  {line.text}" for line in section.lines)


def _table(table: Table) -> Iterator[str]:
    rows = [table.columns, *(tuple(cell.text for cell in row) for row in table.rows)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(table.columns))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
