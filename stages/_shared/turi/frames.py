"""Columns of text and numbers as Turi Create's SFrames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..problem.problem import Problem
from ..tables.table import CATEGORY, MISSING, Table


def of_table(table: Table, turicreate: Any, more: Mapping[str, Sequence[Any]] = {}) -> Any:
    """An SFrame of typed columns; gaps are None. ``more`` stands behind them, as it is."""
    found = turicreate.SFrame()
    for column in table.columns.values():
        found[column.name] = _array(column.values.tolist(), column.type, turicreate)
    for name, values in more.items():
        found[name] = turicreate.SArray(list(values))
    return found


def of_cells(
    rows: Sequence[Mapping[str, Any]], columns: Iterable[Mapping[str, Any]], turicreate: Any
) -> Any:
    """An SFrame of rows as a file has them, with the columns that a model was learnt from.

    Raises:
        Problem: a column is missing, or a number is none.
    """
    found = turicreate.SFrame()
    for column in columns:
        name, numeric = column["name"], column["type"] != CATEGORY
        if rows and name not in rows[0]:
            raise Problem(f"the table has no column '{name}'")
        cells = [_cell(row[name], numeric, name) for row in rows]
        found[name] = _array(cells, column["type"], turicreate)
    return found


def _cell(cell: Any, numeric: bool, name: str) -> Any:
    if cell is None or (isinstance(cell, str) and cell in MISSING):
        return None
    if not numeric:
        return str(cell)
    try:
        return float(cell)
    except ValueError:
        raise Problem(f"column '{name}' holds numbers, but here stands '{cell}'") from None


def _array(values: Sequence[Any], kind: str, turicreate: Any) -> Any:
    if kind == CATEGORY:
        return turicreate.SArray(list(values), dtype=str)
    plain = [None if v is None or math.isnan(v) else float(v) for v in values]
    return turicreate.SArray(plain, dtype=float)
