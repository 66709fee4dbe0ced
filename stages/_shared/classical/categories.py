"""Splits of trees by sets of categories.

A Core ML tree compares numbers. For each different split an extra column is made that says 0 for
the categories that go left, 1 for those that go right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .frame import Frame
from .lookup import Table, look_up

# Column, categories to the left and to the right, whether unknown and missing ones go left.
Split = tuple[int, tuple[int, ...], tuple[int, ...], bool, bool]


class CategorySplits:
    """Collects the splits of all trees of a model, each once."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._columns: dict[Split, int] = {}

    def column(
        self,
        feature: int,
        left: Sequence[int],
        right: Sequence[int],
        unknown_left: bool,
        missing_left: bool | None = None,
    ) -> int:
        """The place of the column that answers a split, for a comparison with one half.

        Args:
            feature: the column of categories.
            left: categories that go left.
            right: categories that go right; what is neither goes as unknown_left says.
            unknown_left: whether that is left.
            missing_left: whether a missing value goes left; None: as what is unknown.
        """
        missing_left = unknown_left if missing_left is None else missing_left
        key = (feature, tuple(left), tuple(right), unknown_left, missing_left)
        return self._columns.setdefault(key, self._frame.width + len(self._columns))

    def extended(self) -> Frame:
        """The columns with the answers behind them."""
        if not self._columns:
            return self._frame
        order, tables, asked = [], [], []
        for feature in dict.fromkeys(key[0] for key in self._columns):
            keys = [key for key in self._columns if key[0] == feature]
            order += [self._columns[key] - self._frame.width for key in keys]
            tables.append(_table(keys))
            asked.append(feature)
        answers = Frame.of(self._frame.graph, look_up(self._frame.take(asked), tables))
        return self._frame.join([answers.take(np.argsort(order))])


def _table(keys: list[Split]) -> Table:
    """All splits of one column, a number for each."""
    categories = sorted({c for _, left, right, _, _ in keys for c in (*left, *right)})
    otherwise = [0.0 if unknown_left else 1.0 for *_, unknown_left, _ in keys]
    answers = np.tile(otherwise, (len(categories) + 1, 1))
    for place, (_, left, right, _, missing_left) in enumerate(keys):
        answers[:-1][np.isin(categories, left), place] = 0.0
        answers[:-1][np.isin(categories, right), place] = 1.0
        answers[-1, place] = 0.0 if missing_left else 1.0
    return Table([*map(float, categories), None], answers, otherwise)
