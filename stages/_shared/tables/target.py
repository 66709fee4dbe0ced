"""The column that is learnt: numbers, or labels and which of them each row has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .sheet import Sheet
from .table import CATEGORY, NUMBER, Column, is_whole, require, typed
from .words import shown, suggestion


def column(sheet: Sheet, name: str, kind: str, reading: Mapping[str, Any]) -> Column:
    """A column without gaps, for a target, for weights or for groups.

    Raises:
        Problem: it is not there, or has gaps.
    """
    require(sheet, name)
    found = typed(sheet, [name], {name: kind}, reading["missing_values"], reading["decimal"])
    empty = np.flatnonzero(found.columns[name].empty)
    if len(empty):
        raise Problem(
            f"{found.place(int(empty[0]))}: there is no value in '{name}'",
            hint="leave such rows out, with `data/table` and `require: [" + name + "]`",
        )
    return found.columns[name]


def numbers(sheet: Sheet, name: str, reading: Mapping[str, Any]) -> np.ndarray:
    """Float64, shape [N]."""
    return column(sheet, name, NUMBER, reading).values


def weights(sheet: Sheet, name: str, reading: Mapping[str, Any]) -> np.ndarray:
    """Float64, shape [N], none negative, not all zero."""
    found = numbers(sheet, name, reading)
    wrong = np.flatnonzero(found < 0)
    if len(wrong):
        raise Problem(f"{sheet.place(int(wrong[0]))}: weight '{name}' is {found[wrong[0]]:g}")
    if not found.any():
        raise Problem(f"{sheet.name}: all weights in '{name}' are 0")
    return found


def labels_of(texts: Sequence[str]) -> list[Any]:
    """The different labels in their order: integers where every one is, else text."""
    different = set(texts)
    if all(is_whole(text) for text in different):
        return sorted(int(text) for text in different)
    return sorted(different)


def truth(
    sheet: Sheet, name: str, reading: Mapping[str, Any], labels: Sequence[Any] | None = None
) -> tuple[np.ndarray, list[Any]]:
    """Which label each row has.

    Args:
        sheet: the file.
        name: of the column.
        reading: how texts are read.
        labels: those of the training table; None where this is it.

    Returns:
        Indices of labels, shape [N], and the labels.

    Raises:
        Problem: a label was not in the training table, or there is only one.
    """
    texts = [_plain(text) for text in column(sheet, name, CATEGORY, reading).values]
    known = labels_of(texts) if labels is None else list(labels)
    if len(known) < 2:
        raise Problem(
            f"{sheet.name}: column '{name}' holds nothing but '{known[0]}'",
            hint="a classifier needs two labels at least",
        )
    places = {str(label): place for place, label in enumerate(known)}
    for row, text in enumerate(texts):
        if text not in places:
            raise Problem(
                f"{sheet.place(row)}: label '{text}' in column '{name}' was never seen in "
                f"training, which knew {shown(known)}",
                hint=suggestion(text, places, "it knew"),
            )
    return np.array([places[text] for text in texts], dtype=np.int64), known


def _plain(text: str) -> str:
    """``3.0`` as ``3``: programs write whole numbers so once a column had a gap."""
    return text[:-2] if text.endswith(".0") and is_whole(text[:-2]) else text
