"""Categories to numbers, exactly: each category is a question that a tree asks in doubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import impute, impute_one, place
from .ensemble import EQUAL, LESS, regressor, stump
from .frame import Column, Frame
from .graph import TEXT, Value

MISSING_TEXT = ""  # a text that is not given; Core ML has no other sign for it in a text
_UNKNOWN = -1


@dataclass(frozen=True)
class Table:
    """What each category of one column becomes.

    Attributes:
        categories: texts or numbers; None and NaN are the missing value.
        answers: float64 [categories, width].
        otherwise: for what is not among the categories, [width]; None: an error for text.
    """

    categories: Sequence[Any]
    answers: Any
    otherwise: Any = None


def look_up(frame: Frame, tables: Sequence[Table]) -> Value:
    """One vector of all columns' answers."""
    trees, base, sources = [], [], []
    for position, (column, table) in enumerate(zip(frame.columns, tables, strict=True)):
        answers = np.atleast_2d(np.asarray(table.answers, np.float64))
        width = answers.shape[1]
        otherwise = np.zeros(width) if table.otherwise is None else np.ravel(table.otherwise)
        coded, keys = _coded(frame, column, table)
        sources.append(coded)
        for key, answer in zip(keys, answers, strict=True):
            trees.append(_question(position, key, answer - otherwise, len(base)))
        base.extend(otherwise.tolist())
    if not trees:
        trees.append(stump(0, 0.0, np.zeros(1), np.zeros(1)))
    missing = all(any(map(is_missing, t.categories)) for t in tables)
    return regressor(Frame(frame.graph, tuple(sources)), trees, base, missing=missing)


def look_up_with_gaps(frame: Frame, tables: list[Table]) -> Value:
    """Answers that may be NaN: a tree adds numbers, so that NaN needs a mark on the way."""
    known = [np.abs(_finite(t.answers)).max(initial=0.0) for t in tables]
    mark = float(-2 - max(known, default=0.0))
    marked = [
        Table(t.categories, _marked(t.answers, mark), _marked(t.otherwise, mark)) for t in tables
    ]
    value = look_up(frame, marked)
    if any(_has_nan(t.answers) or _has_nan(t.otherwise) for t in tables):
        return impute(frame.graph, value, np.full(value.width, np.nan), replace=mark)
    return value


def _finite(values: Any) -> Any:
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def _has_nan(values: Any) -> bool:
    return values is not None and bool(np.isnan(np.asarray(values, float)).any())


def _marked(values: Any, mark: float) -> Any:
    return None if values is None else np.nan_to_num(np.asarray(values, float), nan=mark)


def require_text(column: Column, value: Any) -> None:
    """Refuse a column of numbers where a text is known of it."""
    if isinstance(value, str) and not column.is_text:
        raise Problem(
            f"column '{column.name}' is taken for numbers, but '{value}' is one of its categories",
            hint=f"say so: columns: [..., {{name: {column.name}, type: category}}]",
        )


def is_missing(value: Any) -> bool:
    """None and NaN."""
    return value is None or (isinstance(value, float) and np.isnan(value))


def _question(feature: int, key: float, answer: Any, first: int) -> Any:
    none = np.zeros(len(answer))
    if np.isnan(key):  # nothing is below minus infinity, so that only what is missing says yes
        return stump(feature, -np.inf, answer, none, LESS, missing_yes=True, first=first)
    return stump(feature, key, answer, none, EQUAL, first=first)


def _coded(frame: Frame, column: Column, table: Table) -> tuple[Column, list[float]]:
    """A column of numbers, and each category's number in it."""
    hints = frame.graph.hints
    if not column.is_text:
        for category in table.categories:
            require_text(column, category)
        known = [float(c) for c in table.categories if not is_missing(c)]
        hints.add([column], np.array(known).reshape(-1, 1))
        return column, [np.nan if is_missing(c) else float(c) for c in table.categories]
    hints.add_texts(column, table.categories)
    texts = [MISSING_TEXT if is_missing(c) else c for c in table.categories]
    if len(set(texts)) != len(texts):
        raise Problem(
            f"column '{column.name}' has both missing values and an empty text as categories",
            hint="Core ML has no sign for a missing text other than an empty one",
        )
    wrong = next((t for t in texts if not isinstance(t, str)), None)
    if wrong is not None:
        raise Problem(f"column '{column.name}' is text, but {wrong!r} is among its categories")
    source = column.source
    if MISSING_TEXT in texts and source.kind == TEXT:
        source = impute_one(frame.graph, source, MISSING_TEXT)
    unknown = None if table.otherwise is None else _UNKNOWN
    code = place(frame.graph, source, {t: i for i, t in enumerate(texts)}, unknown)
    return Column(column.name, code), [float(i) for i in range(len(texts))]
