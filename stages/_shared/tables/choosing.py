"""Which columns are learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..problem.problem import Problem
from .sheet import Sheet
from .table import CATEGORY, Table, require, typed
from .words import suggestion


def choose(
    sheet: Sheet, include: Sequence[str] | None, exclude: Sequence[str], taken: Sequence[str]
) -> list[str]:
    """Names of the columns to learn from, in order.

    Args:
        sheet: the file.
        include: names or patterns; None for all.
        exclude: names or patterns.
        taken: columns that have another role, as the target.

    Raises:
        Problem: a name or pattern fits no column, or none is left.
    """
    for name in taken:
        require(sheet, name)
    wanted = list(sheet.columns) if include is None else []
    for pattern in include or ():
        wanted += [name for name in _matching(sheet, pattern, "include") if name not in wanted]
    dropped = {name for pattern in exclude for name in _matching(sheet, pattern, "exclude")}
    left = [name for name in wanted if name not in dropped and name not in taken]
    if not left:
        raise Problem(
            f"{sheet.name}: no column is left to learn from",
            hint=f"it has {', '.join(sheet.columns)}",
        )
    return left


def learnt(sheet: Sheet, names: Sequence[str], types: Mapping[str, str], params: Any) -> Table:
    """These columns with their types.

    Raises:
        Problem: a type is for no such column, or a column has too many categories.
    """
    for name in types:
        require(sheet, name)
    missing, decimal = params.missing_values, params.decimal
    most = params.max_categories
    table = typed(sheet, names, types, missing, decimal)
    for column in table.columns.values():
        if column.type != CATEGORY:
            continue
        count = len(column.categories())
        if count > most:
            example = next(value for value in column.values if value is not None)
            raise Problem(
                f"{sheet.name}: column '{column.name}' holds text with {count} different values, "
                f"as '{example}'; at most {most} are taken",
                hint=f"exclude: [{column.name}], or raise max_categories",
            )
        if not count:
            raise Problem(
                f"{sheet.name}: column '{column.name}' has no value at all",
                hint=f"exclude: [{column.name}]",
            )
    return table


def _matching(sheet: Sheet, pattern: str, role: str) -> list[str]:
    if pattern in sheet.columns:
        return [pattern]
    found = [name for name in sheet.columns if fnmatchcase(name, pattern)]
    if not found:
        raise Problem(
            f"{role}: {sheet.name} has no column '{pattern}'",
            hint=suggestion(pattern, sheet.columns),
        )
    return found
