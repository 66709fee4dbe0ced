"""How recorded figures are worded, and how one differs from what it was before."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlbuild.records import Json
from mlbuild.report import words
from mlbuild.report.summary.page import Cell, Tone

_NOTHING = 1e-9  # errors below are float64's own: one is not better than the other
_EQUAL_DB = 200  # what parity records of equal answers


def number(recorded: Json) -> float | None:
    """The figure itself: of a share or an interval its middle, of what is no number nothing."""
    value = recorded.get("value") if isinstance(recorded, Mapping) else recorded
    return float(value) if isinstance(value, int | float) else None


def flat(metrics: Mapping[str, Json], above: str = "") -> dict[str, Json]:
    """Metrics by their names; what stands in a map has a dot in its name, as gates call it."""
    found: dict[str, Json] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping) and "value" not in value:
            found |= flat(value, f"{above}{name}.")
        elif number(value) is not None:
            found[f"{above}{name}"] = value
    return found


def shown(recorded: Json, unit: str = "") -> str:
    """A figure with its unit; a share or an interval with its ends."""
    value = number(recorded)
    if value is None:
        return ""
    if unit == "dB" and value >= _EQUAL_DB:
        return "equal"
    text = _with_unit(value, unit)
    if isinstance(recorded, Mapping) and {"low", "high"} <= recorded.keys():
        count = f"n={recorded['n']}, " if "n" in recorded else ""
        text += f" ({count}95 % {short(recorded['low'])} to {short(recorded['high'])})"
    return text


def _with_unit(value: float, unit: str) -> str:
    if unit == "MB":
        return words.size(round(value * 1e6))
    return f"{value:.1f} dB" if unit == "dB" else f"{short(value)} {unit}".rstrip()


def short(value: float) -> str:
    """Four digits that mean something, and no exponent where none is needed."""
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.4g}"


def difference(before: Json, now: Json, better: str, unit: str = "") -> Cell:
    """The change from one to the other, with an arrow and whether it is for the better.

    Args:
        before: as recorded; None where there was none.
        now: as recorded.
        better: "max", "min" or "none".
        unit: of both.

    Returns:
        No text where one of the two is missing.
    """
    old, new = number(before), number(now)
    if old is None or new is None:
        return Cell("")
    if same(old, new):
        return Cell("=")
    delta = new - old
    if not math.isfinite(delta):
        return Cell("", Tone.PLAIN)
    amount = words.size(round(abs(delta) * 1e6)) if unit == "MB" else f"{abs(delta):.3g} {unit}"
    text = ("▲ +" if delta > 0 else "▼ -") + amount.rstrip()
    if better not in ("max", "min"):
        return Cell(text)
    if _within(old, now):
        return Cell(f"{text}, within its interval", Tone.DOUBT)
    improved = (delta > 0) == (better == "max")
    return Cell(f"{text}, {'better' if improved else 'worse'}", Tone.GOOD if improved else Tone.BAD)


def same(old: float | None, new: float | None) -> bool:
    """Whether two figures are equal, or both are what rounding leaves of nothing."""
    if old is None or new is None:
        return old is new
    return old == new or max(abs(old), abs(new)) < _NOTHING


def _within(old: float, now: Json) -> bool:
    """Whether the sample is too small to tell the two apart: the old one lies in the interval."""
    if not isinstance(now, Mapping) or not {"low", "high"} <= now.keys():
        return False
    return bool(now["low"] <= old <= now["high"])
