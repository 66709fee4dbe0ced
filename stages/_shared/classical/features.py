"""Columns to the features that a booster or a machine of LIBSVM was trained on.

The plan stands in the model's description (``stages/_shared/tables/features.py`` made it): numbers
filled, shifted and scaled, texts as codes or as an element for each category.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from .blocks import impute_one, scale
from .frame import Column, Frame
from .lookup import Table, look_up_with_gaps

Plan = Sequence[Mapping[str, Any]]


def planned(frame: Frame, plan: Plan, unknown: str) -> Frame:
    """The features in order.

    Args:
        frame: the columns by name.
        plan: one mapping a feature.
        unknown: "error" or "ignore": what a text that is no category does.
    """
    numbers = [f for f in plan if f["kind"] == "number"]
    scaled = any(f["shift"] or f["factor"] != 1.0 for f in numbers)
    plain = {f["name"]: _number(frame, f) for f in numbers}
    if scaled:
        vector = Frame(frame.graph, tuple(plain.values())).vector()
        shift, factor = (np.array([f[k] for f in numbers]) for k in ("shift", "factor"))
        moved = Frame.of(frame.graph, scale(frame.graph, vector, -shift, factor))
        plain = dict(zip(plain, moved.columns, strict=True))
    texts = _texts(frame, [f for f in plan if f["kind"] != "number"], unknown)
    return Frame(frame.graph, tuple({**plain, **texts}[f["name"]] for f in plan))


def _number(frame: Frame, feature: Mapping[str, Any]) -> Column:
    column = frame.columns[frame.position(feature["column"])]
    if feature["fill"] is None:
        return column
    filled = impute_one(frame.graph, column.source, float(feature["fill"]))
    return Column(column.name, filled)


def _texts(frame: Frame, plan: list[Mapping[str, Any]], unknown: str) -> dict[str, Column]:
    if not plan:
        return {}
    chosen, tables, names = [], [], []
    for name, group in groupby(plan, key=lambda f: f["column"]):
        features = list(group)
        chosen.append(frame.columns[frame.position(name)])
        tables.append(_table(features, unknown))
        names += [f["name"] for f in features]
    value = look_up_with_gaps(Frame(frame.graph, tuple(chosen)), tables)
    return dict(zip(names, Frame.of(frame.graph, value).columns, strict=True))


def _table(features: list[Mapping[str, Any]], unknown: str) -> Table:
    """All features of one column of texts."""
    first = features[0]
    if first["kind"] == "code":
        categories = list(first["categories"])
        answers = np.arange(len(categories), dtype=float)[:, None]
        otherwise = [np.nan]
    else:
        categories = [f["category"] for f in features]
        answers = np.eye(len(categories))
        otherwise = [0.0] * len(categories)
    missing = otherwise if first["fill"] is None else answers[categories.index(first["fill"])]
    answers = np.concatenate([answers, [missing]])
    return Table([*categories, None], answers, otherwise if unknown == "ignore" else None)
