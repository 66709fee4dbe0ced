"""What a model of tables says of itself, and tables that are asked in the shape of the learnt one.

``docs/tables.md`` tells the whole format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .sheet import Layout, Sheet, read_sheet
from .table import CATEGORY, Table, typed
from .words import shown, suggestion

FORMAT = 1
KEY = "mlbuild.description"  # under which libraries keep it in a model's own metadata


def columns_of(table: Table, missing: str) -> list[dict[str, Any]]:
    """The columns of a training table, as a description keeps them."""
    how = {"error": "error", "keep": "keep"}.get(missing, "fill")
    return [
        {
            "name": column.name,
            "type": column.type,
            "categories": column.categories() if column.type == CATEGORY else None,
            "missing": how,
        }
        for column in table.columns.values()
    ]


def inputs_of(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same columns as inputs of a model, in the words that all of mlbuild's models use."""
    return [
        {
            "name": column["name"],
            "kind": "column",
            "layout": None,
            "shape": [],
            "dtype": "string" if column["type"] == CATEGORY else "float64",
            "preprocessing": None,
        }
        for column in columns
    ]


def samples(path: Path, description: Mapping[str, Any]) -> Table:
    """A table of samples for a model.

    Raises:
        Problem: it is no table, or not one of the columns that the model was trained on.
    """
    return conform(sheet_for(path, description), description)


def sheet_for(path: Path, description: Mapping[str, Any]) -> Sheet:
    """The file, read as the training table was."""
    reading = description["reading"]
    return read_sheet(path, Layout(reading["header"], reading["skip"], reading["delimiter"]))


def conform(sheet: Sheet, description: Mapping[str, Any]) -> Table:
    """The columns that a model was trained on, with the types that they had.

    Raises:
        Problem: a column is missing, or holds what it did not in training.
    """
    columns, reading = description["columns"], description["reading"]
    types = {column["name"]: column["type"] for column in columns}
    table = typed(sheet, list(types), types, reading["missing_values"], reading["decimal"])
    for column in columns:
        if column["missing"] == "error":
            check_full(table, column["name"])
        if column["categories"] is not None and reading["unknown"] == "error":
            check_known(table, column["name"], column["categories"])
    return table


def check_full(table: Table, name: str) -> None:
    """Refuse a column that has no value somewhere."""
    empty = np.flatnonzero(table.columns[name].empty)
    if len(empty):
        more = f", and so in {len(empty) - 1} more rows" if len(empty) > 1 else ""
        raise Problem(
            f"{table.place(int(empty[0]))}: column '{name}' has no value{more}",
            hint=f"fill it, exclude: [{name}], or choose a strategy: "
            "missing: mean, median, most-frequent or keep",
        )


def check_known(table: Table, name: str, known: Sequence[str]) -> None:
    """Refuse a category that was not in the training table."""
    allowed = frozenset(known)
    for row, value in enumerate(table.columns[name].values):
        if value is not None and value not in allowed:
            raise Problem(
                f"{table.place(row)}: column '{name}': '{value}' was never seen in training, "
                f"which knew {shown(known)}",
                hint=f"{suggestion(value, known, 'it knew')}; "
                "`unknown: ignore` lets the model answer without it",
            )
