"""Rows to compare a written model on: drawn around what its estimators remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import ARRAY, TEXT, Value
from .hinted import Hints

# LightGBM writes a split of "is there a value" as a threshold of 1e300: nothing to draw around.
_BEYOND = 1e299


def draw(inputs: Sequence[Value], hints: Hints, count: int, seed: int) -> list[dict[str, Any]]:
    """Rows: a number, text or vector for each input."""
    random = np.random.default_rng(seed)
    # A quarter of the rows stands on thresholds, or as near to them as doubles can.
    kinds = random.integers(0, 12, count)
    columns = {
        value.name: _texts(value, hints, count, random)
        if value.kind == TEXT
        else _numbers(value, hints, kinds, random)
        for value in inputs
    }
    return [{name: values[row] for name, values in columns.items()} for row in range(count)]


def _texts(value: Value, hints: Hints, count: int, random: Any) -> list[Any]:
    known = hints.texts.get(value.name) or ["text"]
    return [known[i] for i in random.integers(0, len(known), count)]


def _numbers(value: Value, hints: Hints, kinds: Any, random: Any) -> list[Any]:
    columns = [
        _column(hints.numbers.get((value.name, i), []), kinds, random, value.kind == "int64")
        for i in range(value.width)
    ]
    if value.kind == ARRAY:
        return list(np.stack(columns, axis=1))
    return [c.item() for c in columns[0]]


def _column(pools: list[Any], kinds: Any, random: Any, whole: bool) -> Any:
    count = len(kinds)
    pool = np.concatenate(pools) if pools else random.normal(0.0, 1.0, 64)
    pool = pool[np.abs(pool) < _BEYOND] if (np.abs(pool) < _BEYOND).any() else np.zeros(1)
    picked = random.choice(pool, count)
    spread = float(np.std(pool)) or max(1.0, abs(float(pool[0]))) * 0.1
    noisy = picked + random.normal(0.0, 0.3 * spread, count)
    if pool.min() >= 0:
        noisy = np.abs(noisy)
    if np.all(pool == np.floor(pool)) and len(set(pool.tolist())) <= 12:
        return picked  # whole numbers of few values are counts or categories
    values = np.where(kinds == 0, picked, noisy)
    values = np.where(kinds == 1, np.nextafter(picked, np.inf), values)
    values = np.where(kinds == 2, np.nextafter(picked, -np.inf), values)
    if pool.min() >= 0:
        values = np.abs(values)
    return np.round(values) if whole else values
