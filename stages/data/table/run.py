"""Read tables, put them together, keep what is wanted, write one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem, told
from ..._shared.tables.choosing import choose
from ..._shared.tables.sheet import Layout, Refused, Sheet, read_sheet, width
from ..._shared.tables.table import NUMBER, require, typed
from ..._shared.tables.words import suggestion

_SHOWN = 20  # values of a column of text in the report


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    sheet = _renamed(_read(job), params.rename)
    names = choose(sheet, params.include, params.exclude, [])
    for name in (*params.require, *params.where, *params.values):
        require(sheet, name)
    cells = {name: _texts(sheet, name) for name in {*names, *params.require, *params.where}}
    for name, replaced in params.values.items():
        if name in cells:
            cells[name] = _replaced(sheet, name, cells[name], replaced)
    kept = _rows(params, cells, len(sheet.numbers))
    if not len(kept):
        raise Problem(f"{sheet.name}: no row is left", hint="see `require` and `where`")
    left_out = len(sheet.numbers) - len(kept)
    if params.limit is not None and params.limit < len(kept):
        chosen = np.random.default_rng(params.seed).permutation(len(kept))[: params.limit]
        kept = kept[np.sort(chosen)]
    result = {name: [cells[name][row] for row in kept] for name in names}
    _write(job.outputs["table"], result)
    job.metric("rows", len(kept))
    job.metric("columns", len(names))
    job.metric("left_out", left_out)
    report = {"rows": len(kept), "left_out": left_out, "columns": _told_of(result, sheet, params)}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _read(job: Any) -> Sheet:
    params = job.params
    paths = [job.inputs["table"], *job.inputs.get("more", [])]
    layout = Layout(params.header, params.skip, params.delimiter)
    if len(paths) == 1 or params.combine == "rows":
        sheets = [read_sheet(path, layout) for path in paths]
        return sheets[0] if len(sheets) == 1 else _below(sheets)
    if params.header is None:
        return _beside([read_sheet(path, layout) for path in paths])
    sheets, start = [], 0
    for path in paths:
        wide = width(path, layout)
        names = params.header[start : start + wide]
        if len(names) < wide:
            raise Problem(
                f"header: {len(params.header)} names, but the tables have {start + wide} columns "
                "or more"
            )
        sheets.append(read_sheet(path, Layout(names, params.skip, params.delimiter)))
        start += wide
    if start != len(params.header):
        raise Problem(f"header: {len(params.header)} names, but the tables have {start} columns")
    return _beside(sheets)


def _beside(sheets: list[Sheet]) -> Sheet:
    first = sheets[0]
    columns = dict(first.columns)
    for other in sheets[1:]:
        if len(other.numbers) != len(first.numbers):
            raise Problem(
                f"{other.name} has {len(other.numbers)} rows, {first.name} has "
                f"{len(first.numbers)}: they do not fit side by side",
                hint="combine: rows puts them one below the other",
            )
        for name in other.columns:
            if name in columns:
                raise Problem(f"{first.name} and {other.name} both have a column '{name}'")
        columns.update(other.columns)
    whole = frozenset().union(*(sheet.whole for sheet in sheets))
    return Sheet(first.name, columns, whole, first.numbers, first.unit)


def _below(sheets: list[Sheet]) -> Sheet:
    first = sheets[0]
    for other in sheets[1:]:
        for name in first.columns:
            require(other, name)
        for name in other.columns:
            if name not in first.columns:
                raise Problem(
                    f"{first.name} has no column '{name}', which {other.name} has",
                    hint=suggestion(name, first.columns),
                )
    columns = {n: [t for sheet in sheets for t in _texts(sheet, n)] for n in first.columns}
    numbers = np.concatenate([sheet.numbers for sheet in sheets])
    name = first.name if len(sheets) == 1 else f"{first.name} and {len(sheets) - 1} more"
    return Sheet(name, columns, frozenset(), numbers, first.unit)


def _renamed(sheet: Sheet, names: dict[str, str]) -> Sheet:
    for name in names:
        require(sheet, name)
    columns: dict[str, Any] = {}
    for name, cells in sheet.columns.items():
        new = names.get(name, name)
        if new in columns:
            raise Problem(f"rename: two columns would be called '{new}'")
        columns[new] = cells
    whole = frozenset(names.get(name, name) for name in sheet.whole)
    return Sheet(sheet.name, columns, whole, sheet.numbers, sheet.unit)


def _texts(sheet: Sheet, name: str) -> list[str]:
    """A column as text; nothing where there is no value."""
    cells = sheet.columns[name]
    if isinstance(cells, Refused):
        raise Problem(cells.why, hint=f"exclude: [{name}]")
    if isinstance(cells, np.ndarray):
        whole = name in sheet.whole
        return ["" if np.isnan(v) else str(int(v)) if whole else repr(float(v)) for v in cells]
    return ["" if cell is None else cell for cell in cells]


def _replaced(sheet: Sheet, name: str, cells: list[str], values: dict[str, str]) -> list[str]:
    present = set(cells)
    for value in values:
        if value not in present:
            raise Problem(
                f"values: column '{name}' of {sheet.name} never holds '{value}'",
                hint=suggestion(value, sorted(present), "it holds"),
            )
    return [values.get(cell, cell) for cell in cells]


def _rows(params: Any, cells: dict[str, list[str]], count: int) -> np.ndarray:
    kept = np.ones(count, dtype=bool)
    missing = frozenset(params.missing_values)
    for name in params.require:
        kept &= np.array([cell not in missing for cell in cells[name]], dtype=bool)
    for name, values in params.where.items():
        kept &= np.array([cell in values for cell in cells[name]], dtype=bool)
    return np.flatnonzero(kept)


def _write(path: Path, columns: dict[str, list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _told_of(columns: dict[str, list[str]], sheet: Sheet, params: Any) -> list[dict[str, Any]]:
    rows = np.arange(len(next(iter(columns.values()))))
    plain = Sheet(sheet.name, columns, frozenset(), rows, "row")
    table = typed(plain, list(columns), {}, params.missing_values, params.decimal)
    found = []
    for column in table.columns.values():
        there = column.values[~column.empty]
        facts: dict[str, Any] = {"name": column.name, "type": column.type}
        facts["gaps"] = int(column.empty.sum())
        facts["different"] = len(set(there.tolist()))
        if column.type == NUMBER and len(there):
            facts["least"], facts["most"] = float(there.min()), float(there.max())
            facts["mean"] = float(there.mean())
        elif len(there):
            values, counts = np.unique(there.tolist(), return_counts=True)
            order = np.argsort(-counts, kind="stable")[:_SHOWN]
            facts["values"] = {str(values[i]): int(counts[i]) for i in order}
        found.append(facts)
    return found
