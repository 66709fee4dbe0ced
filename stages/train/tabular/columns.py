"""Columns of a table as the network takes them: numbers, and indices of categories."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.sequence_training.rows import Rows, fingerprints, indices
from ..._shared.tables.sheet import Layout, Sheet, read_sheet
from ..._shared.tables.table import CATEGORY, NUMBER, Table, require, typed


@dataclass(frozen=True)
class Scheme:
    """What was found in the training table: it decides how every other one is read."""

    target: str
    labels: tuple[str, ...]  # of a classifier; none: the target is a number
    numbers: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]  # by column; sorted

    @property
    def columns(self) -> tuple[str, ...]:
        """Inputs in the order of the network."""
        return (*self.numbers, *self.categories)


def open_table(path: Path, params: Any) -> Sheet:
    """A CSV or TSV file as the parameters say that it is laid out."""
    return read_sheet(path, Layout(params.header, params.skip, params.delimiter))


def scheme(sheet: Sheet, params: Any) -> Scheme:
    """Decide on columns, types and the task.

    Raises:
        Problem: a column is not there, or nothing is left to learn from.
    """
    target = params.target or list(sheet.columns)[-1]
    require(sheet, target, "target column")
    for name in (*(params.columns or ()), *params.exclude, *params.types):
        require(sheet, name)
    kept = params.columns or [name for name in sheet.columns if name != target]
    kept = [name for name in kept if name not in params.exclude]
    if not kept:
        raise Problem(f"{sheet.name} has no column to learn from besides '{target}'")
    table = typed(sheet, kept, params.types, params.missing)
    categories = {}
    for name in kept:
        if table.columns[name].type == CATEGORY:
            found = table.columns[name].categories()
            if len(found) > params.max_categories:
                raise Problem(
                    f"column '{name}' has {len(found)} different texts, more than max_categories, "
                    f"{params.max_categories}",
                    hint=f"exclude: [{name}], or raise max_categories",
                )
            categories[name] = tuple(found)
    _check_names((*kept, target))
    numbers = tuple(name for name in kept if name not in categories)
    return Scheme(target, _labels(sheet, target, params), numbers, categories)


def _labels(sheet: Sheet, target: str, params: Any) -> tuple[str, ...]:
    kind = {"classification": CATEGORY, "regression": NUMBER}.get(params.task)
    kinds = {target: kind or params.types[target]} if kind or target in params.types else {}
    column = typed(sheet, [target], kinds, params.missing).columns[target]
    if column.type == NUMBER:
        return ()
    return tuple(column.categories())


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        if not re.fullmatch(r"[^\x00-\x1f]+", name):
            raise Problem(f"the column {name!r} holds control characters")


def rows(sheet: Sheet, found: Scheme, params: Any, role: str) -> tuple[Rows, Table]:
    """The rows of a table under a scheme, those without a target left out.

    Raises:
        Problem: a column is missing or holds something else than in training.
    """
    types = dict.fromkeys(found.numbers, NUMBER) | dict.fromkeys(found.categories, CATEGORY)
    types[found.target] = CATEGORY if found.labels else NUMBER
    table = typed(sheet, [*found.columns, found.target], types, params.missing)
    table = table.take(np.flatnonzero(~table.columns[found.target].empty))
    if not len(table):
        raise Problem(f"{role}: {sheet.name} has no row with a value of '{found.target}'")
    target = table.columns[found.target].values
    if found.labels:
        truth = indices([str(value) for value in target], found.labels, role)
    else:
        truth = target.astype(np.float32)
    inputs = tuple(inputs_of(table, found))
    names = tuple(table.place(row) for row in range(len(table)))
    return Rows(inputs, truth, fingerprints(inputs, truth), names), table


def inputs_of(table: Table, found: Scheme) -> list[np.ndarray]:
    """Columns of shape [N, 1]: float32 with NaN where nothing is, int32 with 0."""
    numbers = [table.columns[n].values.astype(np.float32)[:, None] for n in found.numbers]
    coded = []
    for name, known in found.categories.items():
        places = {text: place + 1 for place, text in enumerate(known)}
        codes = [places.get(value, 0) for value in table.columns[name].values]
        coded.append(np.array(codes, dtype=np.int32)[:, None])
    return numbers + coded


def cells(table: Table, found: Scheme, row: int) -> dict[str, np.ndarray]:
    """One row as an app gives it: numbers and texts; empty text where nothing is."""
    values: dict[str, np.ndarray] = {}
    for name in found.numbers:
        values[name] = np.array(table.columns[name].values[row], dtype=np.float64)
    for name in found.categories:
        values[name] = np.array(table.columns[name].values[row] or "")
    return values
