"""How columns become the numbers that a model of trees or support vectors takes.

A plan is a list of small dicts, one a feature, that stands in the model's description: what the
training did can be done again by whoever reads the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .table import NUMBER, Column, Table


def plan(
    table: Table,
    columns: Sequence[Mapping[str, Any]],
    *,
    categories: str,
    missing: str,
    scale: str = "none",
) -> list[dict[str, Any]]:
    """Decide on features.

    Args:
        table: the rows that are learnt; fills and scales come from them alone.
        columns: of the description, with the categories of the whole training table.
        categories: "one-hot", "ordinal" or "native".
        missing: "error", "keep", "mean", "median" or "most-frequent".
        scale: "none", "standard" (mean 0, deviation 1), "minmax" (0 to 1) or "symmetric" (-1 to 1).
    """
    found: list[dict[str, Any]] = []
    for column in columns:
        name, values = column["name"], table.columns[column["name"]]
        fill = _fill(values, missing)
        if column["type"] == NUMBER:
            shift, factor = _scaling(values, fill, scale)
            made = {"kind": "number", "fill": fill, "shift": shift, "factor": factor}
            found.append({"name": name, "column": name, **made})
        elif categories == "one-hot":
            found += [
                {
                    "name": f"{name}={category}",
                    "column": name,
                    "kind": "indicator",
                    "category": category,
                    "fill": fill,
                }
                for category in column["categories"]
            ]
        else:
            made = {"kind": "code", "categories": list(column["categories"]), "fill": fill}
            native = categories == "native"
            found.append({"name": name, "column": name, **made, "native": native})
    return found


def encode(table: Table, features: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The numbers of all rows: float64, shape [N, F], NaN where nothing is known."""
    result = np.empty((len(table), len(features)), dtype=np.float64)
    for place, feature in enumerate(features):
        result[:, place] = _encoded(table.columns[feature["column"]], feature)
    return result


def _encoded(column: Column, feature: Mapping[str, Any]) -> np.ndarray:
    fill = feature["fill"]
    if feature["kind"] == "number":
        values = column.values
        if fill is not None:
            values = np.where(np.isnan(values), fill, values)
        return (values - feature["shift"]) * feature["factor"]
    texts = [fill if value is None else value for value in column.values]
    if feature["kind"] == "indicator":
        return np.array([float(text == feature["category"]) for text in texts])
    codes = {category: float(code) for code, category in enumerate(feature["categories"])}
    return np.array([codes.get(text, np.nan) for text in texts])


def _fill(column: Column, missing: str) -> Any:
    if missing in ("error", "keep"):
        return None
    values = column.values[~column.empty]
    if not len(values):
        raise Problem(
            f"column '{column.name}' has no value at all to learn from",
            hint=f"exclude: [{column.name}]",
        )
    if column.type != NUMBER or missing == "most-frequent":
        # Of equally frequent values the smallest, as scikit-learn's SimpleImputer has it.
        found, counts = np.unique(values.tolist(), return_counts=True)
        return found[counts.argmax()].item()
    return float(values.mean() if missing == "mean" else np.median(values))


def _scaling(column: Column, fill: Any, scale: str) -> tuple[float, float]:
    """Shift and factor; a column that never varies is only shifted."""
    if scale == "none":
        return 0.0, 1.0
    values = column.values[~column.empty]
    if fill is not None:
        values = np.where(column.empty, fill, column.values)
    if not len(values):
        return 0.0, 1.0
    if scale == "standard":
        width = float(values.std())
        return float(values.mean()), 1.0 / width if width else 1.0
    low, high = float(values.min()), float(values.max())
    if scale == "minmax":
        return low, 1.0 / (high - low) if high > low else 1.0
    return (low + high) / 2, 2.0 / (high - low) if high > low else 1.0
