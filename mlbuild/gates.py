"""Recorded metrics against the limits that a pipeline sets. Gates never enter the stage key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mlbuild.errors import LedgerError, Problem
from mlbuild.records import Gate, GateResult, Json, Stage


def read_metrics(path: Path) -> Mapping[str, Json]:
    """The metrics that a stage recorded.

    Raises:
        LedgerError: the file is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LedgerError(
            Problem(f"{path}: not JSON: {error}", hint="delete it; the next run restores it")
        ) from error
    if not isinstance(value, dict):
        raise LedgerError(
            Problem(f"{path}: metrics must be a JSON object", got=type(value).__name__)
        )
    return value


def evaluate(stage: Stage, metrics: Mapping[str, Json]) -> tuple[GateResult, ...]:
    """Every gate of the stage against its metrics, in the order of the file."""
    return tuple(_evaluate(gate, _look_up(metrics, gate.metric)) for gate in stage.gates)


def _look_up(metrics: Mapping[str, Json], name: str) -> Json:
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


def _evaluate(gate: Gate, recorded: Json) -> GateResult:
    value = _number(recorded, "value")
    if value is None:
        return GateResult(gate, None, False, f"{gate.metric}: the stage recorded no such metric")
    broken = [*_absolute(gate, value, _number(recorded, "low")), *_first(gate, value)]
    shown = f"{gate.metric} {_shown(recorded, value)}"
    if broken:
        return GateResult(gate, value, False, f"{shown} is {' and '.join(broken)}")
    if gate.max_drop is not None and not gate.first:
        return GateResult(
            gate, value, True, f"{shown}: there is no release yet to compare with, so it passes"
        )
    return GateResult(gate, value, True, f"{shown} holds")


def _absolute(gate: Gate, value: float, low: float | None) -> list[str]:
    broken = []
    if gate.min is not None and not value >= gate.min:
        broken.append(f"below min {gate.min:g}")
    if gate.max is not None and not value <= gate.max:
        broken.append(f"above max {gate.max:g}")
    if gate.min_lower is not None:
        if low is None:
            broken.append(f"no share, so min_lower {gate.min_lower:g} cannot be held against it")
        elif not low >= gate.min_lower:
            broken.append(f"not surely above min_lower {gate.min_lower:g}")
    return broken


def _first(gate: Gate, value: float) -> list[str]:
    """While there is no release, `first` holds in place of `max_drop`."""
    limits = dict(gate.first)
    broken = []
    if "min" in limits and not value >= limits["min"]:
        broken.append(f"below first.min {limits['min']:g}")
    if "max" in limits and not value <= limits["max"]:
        broken.append(f"above first.max {limits['max']:g}")
    return broken


def _shown(recorded: Json, value: float) -> str:
    """A share is shown with its n and its 95 % interval."""
    text = f"{value:.4g}"
    if isinstance(recorded, Mapping) and {"n", "low", "high"} <= recorded.keys():
        text += f" (n={recorded['n']}, 95 % {recorded['low']:.3f} to {recorded['high']:.3f})"
    return text
