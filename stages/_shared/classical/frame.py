"""The columns that a step of a pipeline of estimators sees, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import extract, vectorize
from .graph import ARRAY, TEXT, Graph, Value


@dataclass(frozen=True)
class Column:
    """A number or text of its own, or an element of a vector."""

    name: str | None
    source: Value
    index: int = 0

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.source.kind == TEXT


@dataclass(frozen=True)
class Frame:
    """Columns in order, and the graph in which they stand."""

    graph: Graph
    columns: tuple[Column, ...]

    @staticmethod
    def of(graph: Graph, value: Value, names: Sequence[str] | None = None) -> Frame:
        """All elements of a vector, or one number."""
        width = value.width if value.kind == ARRAY else 1
        return Frame(
            graph,
            tuple(Column(names[i] if names is not None else None, value, i) for i in range(width)),
        )

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.columns)

    def take(self, positions: Iterable[int]) -> Frame:
        """Some columns, in the order given."""
        return Frame(self.graph, tuple(self.columns[int(i)] for i in positions))

    def join(self, others: Iterable[Frame]) -> Frame:
        """These columns and those of others behind them."""
        return Frame(self.graph, sum((o.columns for o in others), self.columns))

    def position(self, name: str) -> int:
        """Where the column of that name stands."""
        for place, column in enumerate(self.columns):
            if column.name == name:
                return place
        known = [c.name for c in self.columns if c.name is not None]
        raise Problem(
            f"a step of the model takes column '{name}', which is not among its inputs",
            hint=f"there are {', '.join(known)}" if known else "the columns there have no names",
        )

    def parts(self) -> list[Value]:
        """Numbers and vectors that together are these columns, in order."""
        for column in self.columns:
            if column.is_text:
                raise Problem(
                    f"column '{column.name}' is text, but reaches a step that takes numbers",
                    hint="encode it in the model: OneHotEncoder, OrdinalEncoder or TargetEncoder "
                    "in a ColumnTransformer",
                )
        parts: list[Value] = []
        for source, indices in _runs(self.columns):
            if source.kind != ARRAY or indices == list(range(source.width)):
                parts.append(source)
            else:
                parts.append(extract(self.graph, source, indices))
        if len(set(parts)) < len(parts):  # a model cannot have one input twice
            return [vectorize(self.graph, parts)]
        return parts

    def vector(self) -> Value:
        """All columns as one vector."""
        parts = self.parts()
        if len(parts) == 1 and parts[0].kind == ARRAY:
            return parts[0]
        return vectorize(self.graph, parts)


def _runs(columns: tuple[Column, ...]) -> list[tuple[Value, list[int]]]:
    """Neighbouring elements of one vector together."""
    runs: list[tuple[Value, list[int]]] = []
    for column in columns:
        same = bool(runs) and runs[-1][0] is column.source and column.source.kind == ARRAY
        if same and runs[-1][1] != list(range(column.source.width)):
            runs[-1][1].append(column.index)
        else:
            runs.append((column.source, [column.index]))
    return runs


def names_of(estimator: Any) -> list[str] | None:
    """The columns that an estimator was trained on, where it remembers them."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in np.asarray(names)]
