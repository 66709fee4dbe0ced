"""How figures, digests and sizes of a release are worded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mlbuild.records import Json
from mlbuild.report import words

_UNITS = {"_db": "dB", "_mb": "MB", "_ms": "ms"}  # where the kind does not tell the unit


@dataclass(frozen=True, slots=True)
class Measured:
    """A recorded metric: the number, and for shares their 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def measured(recorded: Json) -> Measured | None:
    """A metric as stages record it, a number or {value, low, high, n}; None if it is neither."""
    if isinstance(recorded, Mapping):
        value = _number(recorded.get("value"))
        if value is None:
            return None
        n = recorded.get("n")
        low, high = _number(recorded.get("low")), _number(recorded.get("high"))
        return Measured(value, low, high, n if isinstance(n, int) else None)
    value = _number(recorded)
    return None if value is None else Measured(value)


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def number(value: float) -> str:
    """A plain number: counts whole, others to four digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def value(recorded: Measured, unit: str = "") -> str:
    """The number alone; a share has three decimals, so that a column of them lines up."""
    shown = f"{recorded.value:.3f}" if recorded.low is not None else number(recorded.value)
    return f"{shown} {unit}".rstrip()


def interval(recorded: Measured) -> str:
    """The 95 % interval, empty where there is none."""
    if recorded.low is None or recorded.high is None:
        return ""
    return f"{recorded.low:.3f} to {recorded.high:.3f}"


def full(recorded: Measured, unit: str = "") -> str:
    """The number with its n and interval, in one phrase."""
    text = value(recorded, unit)
    if recorded.low is None:
        return text
    n = "" if recorded.n is None else f"n {recorded.n:,}, "
    return f"{text} ({n}95 % {interval(recorded)})"


def difference(before: Measured, after: Measured) -> str:
    """By how much a figure rose or fell."""
    change = after.value - before.value
    if change == 0:
        return "0"
    if before.low is not None and after.low is not None:
        return f"{change:+.3f}"
    return f"{'+' if change > 0 else ''}{number(change)}"


def alike(before: Measured | None, after: Measured | None) -> bool:
    """Whether two figures are told in the same words; rounding may make them differ."""
    if before is None or after is None:
        return before is after
    near = math.isclose(before.value, after.value, rel_tol=1e-9)
    return near and full(before) == full(after)


def unit(metric: str, meaning: Mapping[str, Json]) -> str:
    """A metric's unit, from its kind or from its name."""
    told = meaning.get("unit")
    if told:
        return str(told)
    return next((u for end, u in _UNITS.items() if metric.endswith(end)), "")


def size(count: int) -> str:
    """A number of bytes."""
    return words.size(count)


def relative(before: float, after: float) -> str:
    """A change as a percentage, where there was something before."""
    return f"{100 * (after - before) / before:+.1f} %" if before else ""


def short(digest: Json) -> str:
    """The beginning of a digest; other values as they are told."""
    text = told(digest)
    body = text.removesuffix(".dir")
    if len(body) in (32, 40, 64) and all(c in "0123456789abcdef" for c in body):
        return body[:12]
    return text


def told(value: Json) -> str:
    """A value of a parameter as the pipeline file would have it, on one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {told(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(told, value)) + "]"
    return str(value)
