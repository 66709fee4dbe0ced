"""A table with typed columns, and how a sheet becomes one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .sheet import Refused, Sheet
from .words import suggestion

NUMBER, CATEGORY = "number", "category"
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


@dataclass(frozen=True)
class Column:
    """Values of one kind: float64 with NaN, or text with None, where nothing is."""

    name: str
    type: str
    values: np.ndarray

    @property
    def empty(self) -> np.ndarray:
        """Which rows have no value, shape [N]."""
        if self.type == NUMBER:
            return np.isnan(self.values)
        return np.array([value is None for value in self.values], dtype=bool)

    def categories(self) -> list[str]:
        """The different texts, sorted; whole numbers in their own order."""
        found = {value for value in self.values if value is not None}
        if all(is_whole(text) for text in found):
            return sorted(found, key=int)
        return sorted(found)


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and where each row stands in its file."""

    sheet: Sheet
    columns: Mapping[str, Column]
    rows: np.ndarray  # indices into the sheet

    def __len__(self) -> int:
        return len(self.rows)

    def place(self, row: int) -> str:
        """Where a row stands: ``iris.csv, line 7``."""
        return self.sheet.place(int(self.rows[row]))

    def take(self, rows: np.ndarray) -> Table:
        """Some rows, in the order given."""
        columns = {n: Column(n, c.type, c.values[rows]) for n, c in self.columns.items()}
        return Table(self.sheet, columns, self.rows[rows])

    def only(self, names: Iterable[str]) -> Table:
        """Some columns, in the order given."""
        return Table(self.sheet, {name: self.columns[name] for name in names}, self.rows)


def typed(
    sheet: Sheet,
    names: Sequence[str],
    types: Mapping[str, str],
    missing: Sequence[str] = MISSING,
    decimal: str = ".",
) -> Table:
    """Give columns their types.

    Args:
        sheet: what the file holds.
        names: columns to take.
        types: "number" or "category" by name; others are numbers if all their cells are.
        missing: texts that mean that there is no value.
        decimal: the decimal point of numbers in text.

    Raises:
        Problem: a column is not there, or holds what its type does not allow.
    """
    columns = {n: _column(sheet, n, types.get(n), frozenset(missing), decimal) for n in names}
    return Table(sheet, columns, np.arange(len(sheet.numbers)))


def require(sheet: Sheet, name: str, what: str = "column") -> None:
    """Refuse a name that no column has, telling the nearest."""
    if name not in sheet.columns:
        raise Problem(f"{sheet.name} has no {what} '{name}'", hint=suggestion(name, sheet.columns))


def is_whole(text: str) -> bool:
    """Whether text is an integer as Python would write it: ``7``, not ``07`` or ``7.0``."""
    return _WHOLE.fullmatch(text) is not None


def _column(
    sheet: Sheet, name: str, kind: str | None, missing: frozenset[str], decimal: str
) -> Column:
    require(sheet, name)
    cells = sheet.columns[name]
    if isinstance(cells, Refused):
        raise Problem(cells.why, hint=f"exclude: [{name}], or make it numbers or text")
    if isinstance(cells, np.ndarray):
        if kind == CATEGORY:
            return Column(name, CATEGORY, _written(cells, name in sheet.whole))
        return Column(name, NUMBER, _finite(sheet, name, cells))
    texts = [None if cell is None or cell in missing else cell for cell in cells]
    if kind != CATEGORY:
        numbers = _numbers(texts, decimal)
        if numbers is not None:
            return Column(name, NUMBER, _finite(sheet, name, numbers))
        if kind == NUMBER:
            raise _no_number(sheet, name, texts, decimal)
    values = np.empty(len(texts), dtype=object)
    values[:] = texts
    return Column(name, CATEGORY, values)


def _written(numbers: np.ndarray, whole: bool) -> np.ndarray:
    values = np.empty(len(numbers), dtype=object)
    values[:] = [None if np.isnan(v) else str(int(v)) if whole else repr(float(v)) for v in numbers]
    return values


def _numbers(texts: list[Any], decimal: str) -> np.ndarray | None:
    """All as float64, or None where one is no number."""
    plain = ["nan" if text is None else text for text in texts]
    if decimal != ".":
        plain = [text.replace(decimal, ".") for text in plain]
    if any("_" in text for text in plain):
        return None  # Python reads 12_34 as a number; in a table it is a name
    try:
        return np.fromiter(map(float, plain), dtype=np.float64, count=len(plain))
    except ValueError:
        return None


def _no_number(sheet: Sheet, name: str, texts: list[Any], decimal: str) -> Problem:
    row = next(i for i, t in enumerate(texts) if t is not None and _numbers([t], decimal) is None)
    return Problem(
        f"{sheet.place(row)}: column '{name}' holds numbers, but here stands '{texts[row]}'",
        hint=f"correct it, add it to `missing_values`, or say `types: {{{name}: category}}`",
    )


def _finite(sheet: Sheet, name: str, numbers: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero(np.isinf(numbers))
    if len(wrong):
        raise Problem(f"{sheet.place(int(wrong[0]))}: column '{name}' holds an infinite number")
    return numbers
