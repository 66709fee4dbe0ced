"""Recorded metrics against the limits that a pipeline sets. Gates never enter the stage key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mlbuild.errors import LedgerError, Problem
from mlbuild.records import Gate, GateResult, Json

Metrics = Mapping[str, Json]
_ENDS = {"lower": "low", "upper": "high"}  # of a recorded interval


def read_metrics(path: Path) -> Metrics:
    """The metrics that a stage recorded.

    Raises:
        LedgerError: the file is no JSON object.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    return parse_metrics(data, str(path), "delete it; the next run restores it")


def parse_metrics(data: bytes, where: str, hint: str | None = None) -> Metrics:
    """Metrics as a stage wrote them.

    Raises:
        LedgerError: they are no JSON object.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise LedgerError(Problem(f"{where}: not JSON: {error}", hint=hint)) from error
    if not isinstance(value, dict):
        what = f"{where}: metrics must be a JSON object"
        raise LedgerError(Problem(what, got=type(value).__name__))
    return value


def evaluate(
    gates: Iterable[Gate],
    metrics: Metrics,
    released: Metrics | None = None,
    waived: Mapping[str, str] | None = None,
) -> tuple[GateResult, ...]:
    """Every gate against a stage's metrics, in the order of the file.

    Args:
        gates: of one stage.
        metrics: what it recorded.
        released: what the last release has; None while there is no release.
        waived: metric -> the reason why its gate may fail.
    """
    results = (_evaluate(gate, metrics, released) for gate in gates)
    return tuple(_waived(result, waived or {}) for result in results)


def compares(gates: Iterable[Gate]) -> bool:
    """Whether one of them is held against the last release."""
    return any(gate.max_drop is not None or gate.max_rise is not None for gate in gates)


def _waived(result: GateResult, waived: Mapping[str, str]) -> GateResult:
    reason = waived.get(result.gate.metric)
    if result.ok or reason is None:
        return result
    text = f"{result.text}; waived: {reason}"
    return GateResult(result.gate, result.value, True, text, result.released, reason)


def _look_up(metrics: Metrics, name: str) -> Json:
    """A metric by its name; a dot may also lead into a nested map."""
    if name in metrics:
        return metrics[name]
    value: Json = metrics
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _number(value: Json, field: str) -> float | None:
    if isinstance(value, Mapping):
        value = value.get(field)
    elif field != "value":
        return None
    return float(value) if isinstance(value, int | float) else None


def _evaluate(gate: Gate, metrics: Metrics, released: Metrics | None) -> GateResult:
    recorded = _look_up(metrics, gate.metric)
    value = _number(recorded, "value")
    if value is None:
        return GateResult(gate, None, False, f"{gate.metric}: the stage recorded no such metric")
    broken, note, before = list(_absolute(gate, value, recorded)), "", None
    if compares([gate]):
        before = None if released is None else _number(_look_up(released, gate.metric), "value")
        if before is None:
            broken += _first(gate, value, _number(recorded, "low"))
            note = "there is no release yet" if released is None else "the last release has none"
            note = "" if gate.first else f": {note} to compare with, so it passes"
        else:
            broken += _since(gate, value, before)
    shown = f"{gate.metric} {_shown(recorded, value)}"
    if broken:
        return GateResult(gate, value, False, f"{shown} is {' and '.join(broken)}", before)
    held = f"{shown}{note or ' holds'}"
    if before is not None:
        held += f" (the last release: {before:.4g})"
    return GateResult(gate, value, True, held, before)


def _absolute(gate: Gate, value: float, recorded: Json) -> Iterator[str]:
    if gate.min is not None and not value >= gate.min:
        yield f"below min {gate.min:g}"
    if gate.max is not None and not value <= gate.max:
        yield f"above max {gate.max:g}"
    for end, field in _ENDS.items():
        at = _number(recorded, field)
        for side, limit in ((s, getattr(gate, f"{s}_{end}")) for s in ("min", "max")):
            if limit is None:
                continue
            name = f"{side}_{end} {limit:g}"
            if at is None:
                yield f"without an interval, so {name} cannot be held against it"
            elif not (at >= limit if side == "min" else at <= limit):
                yield _unsure(side, end, name)


def _unsure(side: str, end: str, name: str) -> str:
    """What an end of the interval means that lies beyond its limit."""
    sure = (side, end) in (("min", "lower"), ("max", "upper"))  # all of the interval must hold
    where = "above" if side == "min" else "below"
    other = "below" if side == "min" else "above"
    return f"not surely {where} {name}" if sure else f"surely {other} {name}"


def _since(gate: Gate, value: float, before: float) -> Iterator[str]:
    """How far it may be from the last release's figure."""
    for name, distance in (("max_drop", before - value), ("max_rise", value - before)):
        limit = getattr(gate, name)
        if limit is None:
            continue
        share = name in gate.relative
        room = limit * abs(before) if share else limit
        # What is written in decimals is meant in decimals: 0.91 - 0.9 is no more than 0.01.
        if distance > room + 1e-9 * max(abs(before), abs(value)):
            shown = f"{100 * limit:g} %" if share else f"{limit:g}"
            where = "below" if name == "max_drop" else "above"
            yield f"{distance:.4g} {where} the last release's {before:.4g}, more than {shown}"


def _first(gate: Gate, value: float, low: float | None) -> Iterator[str]:
    """While there is nothing to compare with, `first` holds in place of the distances."""
    limits = dict(gate.first)
    if "min" in limits and not value >= limits["min"]:
        yield f"below first.min {limits['min']:g}"
    if "max" in limits and not value <= limits["max"]:
        yield f"above first.max {limits['max']:g}"
    if "min_lower" in limits and not (low is not None and low >= limits["min_lower"]):
        yield f"not surely above first.min_lower {limits['min_lower']:g}"


def _shown(recorded: Json, value: float) -> str:
    """A share is shown with its n and its 95 % interval."""
    text = f"{value:.4g}"
    if isinstance(recorded, Mapping) and {"low", "high"} <= recorded.keys():
        n = f"n={recorded['n']}, " if "n" in recorded else ""
        text += f" ({n}95 % {recorded['low']:.3f} to {recorded['high']:.3f})"
    return text
