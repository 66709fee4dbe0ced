"""A report as one HTML page, which asks nothing of the network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mlbuild.report.summary.page import Cell, Page, Section, Table

_STYLE = """\
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
color:#1b1f24;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}summary{cursor:pointer;margin-top:1.5rem}
table{border-collapse:collapse;margin:.5rem 0}th,td{padding:.25rem .7rem;text-align:left;\
border-bottom:1px solid #d8dee4}.figure{text-align:right;font-variant-numeric:tabular-nums}
.good{color:#116329}.bad{color:#b3141f;font-weight:600}.doubt{color:#7a4f01}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}
.good{color:#56d364}.bad{color:#ff8182}.doubt{color:#e3b341}}"""
# Nothing may be fetched or run, whatever a name in the report says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(page: Page) -> str:
    """The whole document."""
    body = [f"<h1>{escape(page.title)}</h1>", f"<p>{_cell(page.verdict)}</p>"]
    if page.notes:
        body.append(_list(page.notes))
    for section in page.sections:
        body += _section(section)
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head><body>",
        *body,
        "</body></html>",
    ]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    title = escape(section.title)
    yield f"<details><summary>{title}</summary>" if section.folded else f"<h2>{title}</h2>"
    if section.table:
        yield from _table(section.table)
    if section.lines:
        yield _list(section.lines)
    if section.folded:
        yield "</details>"


def _table(table: Table) -> Iterator[str]:
    kinds = [' class="figure"' if name in table.figures else "" for name in table.columns]
    heads = (f"<th{k}>{escape(n)}</th>" for k, n in zip(kinds, table.columns, strict=True))
    yield f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>"
    for row in table.rows:
        cells = (f"<td{kind}>{_cell(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"


def _list(lines: tuple[Cell, ...]) -> str:
    return f"<ul>{''.join(f'<li>{_cell(line)}</li>' for line in lines)}</ul>"


def _cell(cell: Cell) -> str:
    return f'<span class="{cell.tone}">{escape(cell.text)}</span>' if cell.text else ""
