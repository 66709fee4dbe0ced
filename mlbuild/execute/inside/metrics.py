"""Metrics and plots: plain numbers, canonical JSON, intervals of shares."""

# No pathlib here: this is imported before every stage and called at every open().
from __future__ import annotations

import json
import math
import os
from typing import Any

_Z = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def number(name: str, value: Any) -> float:
    """The plain number behind ``value``, which may be a scalar of numpy or torch.

    Raises:
        ValueError: it is not a number, or not a finite one.
    """
    item = getattr(value, "item", None)
    if callable(item):
        value = item()
    if not isinstance(value, (bool, int, float)):
        kind = type(value).__name__
        raise ValueError(f"metric {name!r} must be a number, got {value!r} ({kind})")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"metric {name!r} must be finite, got {value}")
    return value


def share(name: str, value: Any, n: Any) -> dict[str, float]:
    """A share with its 95 % interval, so that 9 of 10 is not mistaken for 900 of 1,000.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).
    """
    p, count = float(number(name, value)), _count(name, n)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"metric {name!r} is a share: it must lie between 0 and 1, got {p}")
    spread = 1 + _Z * _Z / count
    centre = (p + _Z * _Z / (2 * count)) / spread
    half = _Z * math.sqrt(p * (1 - p) / count + _Z * _Z / (4 * count * count)) / spread
    # At the ends the formula is exact on paper and off by a rounding error here.
    low = 0.0 if p == 0.0 else max(0.0, centre - half)
    high = 1.0 if p == 1.0 else min(1.0, centre + half)
    return {"value": p, "n": count, "low": low, "high": high}


def estimate(name: str, value: Any, interval: Any, n: Any = None) -> dict[str, float]:
    """A number with a 95 % interval that the stage worked out; ``n`` is what it rests on.

    Raises:
        ValueError: the ends are no numbers, or the value does not lie between them.
    """
    middle = number(name, value)
    low, high = (number(name, end) for end in interval)
    if not low <= middle <= high:
        raise ValueError(f"metric {name!r}: {middle} does not lie in its interval, {low} to {high}")
    found = {"value": middle, "low": low, "high": high}
    return found if n is None else {**found, "n": _count(name, n)}


def _count(name: str, n: Any) -> int:
    count = number(name, n)
    if isinstance(count, bool) or count != int(count) or count < 1:
        raise ValueError(f"metric {name!r} needs a count n of at least 1, got {n!r}")
    return int(count)


def plain_rows(name: str, rows: Any, x: str | None, y: str | None) -> list[dict[str, Any]]:
    """Rows of a plot as flat dicts of plain values; ``x`` first and ``y`` last, as DVC draws them.

    Raises:
        ValueError: a row is not a flat dict, or lacks a named column.
    """
    result = []
    for row in rows:
        if not isinstance(row, dict):
            raise ValueError(f"plot {name!r}: each row must be a dict, got {row!r}")
        for column in (x, y):
            if column is not None and column not in row:
                raise ValueError(f"plot {name!r}: a row has no column {column!r}: {row!r}")
        ends = {x, y}
        order = [x] if x in row else []
        order += [key for key in row if key not in ends]
        order += [y] if y in row and y != x else []
        result.append({str(key): _cell(name, row[key]) for key in order})
    return result


def _cell(name: str, value: Any) -> Any:
    return value if value is None or isinstance(value, str) else number(name, value)


def write_json(path: str | os.PathLike[str], value: Any, sort_keys: bool = True) -> None:
    """Equal values are equal bytes: fixed layout, no NaN, UTF-8."""
    text = json.dumps(value, sort_keys=sort_keys, indent=2, ensure_ascii=False, allow_nan=False)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text + "\n")
