"""The gates of a stage: limits of metrics, checked against those that its kind declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlbuild.errors import Place
from mlbuild.pipeline import fields, keys
from mlbuild.pipeline.nodes import Mapped, Node, Scalar, shorten
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill
from mlbuild.records import Gate, Json

Metrics = Mapping[str, Any]  # name -> api.Metric; "precision.*" is a family


def read_gates(
    node: Node | None, metrics: Metrics | None, scope: Scope
) -> tuple[tuple[Gate, ...], bool]:
    """The gates, and whether a failed one only excludes its variant.

    ``metrics`` is what the kind declares; None where a command may write anything.
    """
    where, problems = scope.where, scope.problems
    section = fields.mapped(problems, node, f"{where}: 'gates'")
    gates: list[Gate] = []
    exclude = False
    for name, key, value in section.pairs() if section else ():
        if name == "on_fail":
            exclude = _on_fail(value, scope)
            continue
        metric = None
        if metrics is not None:
            metric = declared(name, metrics)
            if metric is None:
                message = f"{where}: unknown metric '{shorten(name)}'"
                allowed = list(metrics) or None
                hint = None if allowed else "this stage records no metrics"
                problems.add(key, message, allowed=allowed or (), word=name, hint=hint)
                continue
        gate = _gate(name, key, value, metric, scope)
        if gate is not None:
            gates.append(gate)
    return tuple(gates), exclude


def default_gates(
    limits: Mapping[str, Mapping[str, float]], place: Place | None
) -> tuple[Gate, ...]:
    """The kind's own gates, for a stage that sets none."""
    return tuple(
        Gate(metric, min=given.get("min"), max=given.get("max"), place=place)
        for metric, given in limits.items()
    )


def declared(name: str, metrics: Metrics) -> Any:
    """The metric of that name, or the family ``prefix.*`` that it belongs to."""
    if name in metrics and not name.endswith(".*"):
        return metrics[name]
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        family = ".".join(parts[:length]) + ".*"
        if family in metrics and all(parts):
            return metrics[family]
    return None


def _on_fail(node: Node, scope: Scope) -> bool:
    value = fill(node, scope)
    if value is not UNKNOWN and value not in keys.ON_FAIL:
        message = f"{scope.where}: 'on_fail' has no such value"
        word = value if isinstance(value, str) else None
        scope.problems.add(node, message, got=fields.told(value), allowed=keys.ON_FAIL, word=word)
    return bool(value == "exclude")


def _gate(name: str, key: Scalar, node: Node, metric: Any, scope: Scope) -> Gate | None:
    where, problems = f"{scope.where}: gate '{shorten(name)}'", scope.problems
    if not isinstance(node, Mapped):
        hint = f"{name}: {{min: {node.value}}}" if isinstance(node, Scalar) else None
        problems.add(node, f"{where} is a map of limits", allowed=keys.GATE, hint=hint)
        return None
    fields.check_keys(problems, node, keys.GATE, where)
    limits = {
        limit: _number(value, f"{where}: '{limit}'", scope)
        for limit, _, value in node.pairs()
        if limit in ("min", "max", "min_lower")
    }
    if not any(entry in keys.GATE and entry != "first" for entry in node.entries) and all(
        entry in keys.GATE for entry in node.entries
    ):
        allowed = ("min", "max", "min_lower", "max_drop")
        problems.add(key, f"{where} sets no limit", allowed=allowed)
    if "min_lower" in limits and metric is not None and not metric.share:
        message = f"{where}: 'min_lower' is for shares, which have an interval"
        problems.add(node.entries["min_lower"].key, message, hint="use 'min'")
    drop, against = _max_drop(node.get("max_drop"), where, scope)
    first = _first(node, where, scope)
    return Gate(name, **limits, max_drop=drop, against=against, first=first, place=key.place)


def _number(node: Node, what: str, scope: Scope) -> float | None:
    value = fill(node, scope)
    return None if value is UNKNOWN else fields.number(scope.problems, value, node, what)


def _max_drop(node: Node | None, where: str, scope: Scope) -> tuple[float | None, str | None]:
    if node is None:
        return None, None
    what = f"{where}: 'max_drop'"
    if not isinstance(node, Mapped) or not {"value", "against"} <= node.entries.keys():
        hint = "max_drop: {value: 0.01, against: release}"
        scope.problems.add(node, f"{what} has a value and what it is compared with", hint=hint)
        return None, None
    fields.check_keys(scope.problems, node, ("value", "against"), what)
    at = node.entries["against"].value
    against: Json = fill(at, scope)
    if against is not UNKNOWN and against != "release":
        message = f"{what}: 'against' has no such value"
        word = against if isinstance(against, str) else None
        got = fields.told(against)
        scope.problems.add(at, message, got=got, allowed=("release",), word=word)
    value = fill(node.entries["value"].value, scope)
    if value is UNKNOWN:
        return None, "release"
    at = node.entries["value"].value
    return fields.number(scope.problems, value, at, f"{what}: 'value'", least=0), "release"


def _first(node: Mapped, where: str, scope: Scope) -> tuple[tuple[str, float], ...]:
    inner = node.get("first")
    if inner is None:
        return ()
    if "max_drop" not in node.entries:
        message = f"{where}: 'first' stands beside 'max_drop'"
        scope.problems.add(node.entries["first"].key, message)
    section = fields.mapped(scope.problems, inner, f"{where}: 'first'")
    if section is None:
        return ()
    fields.check_keys(scope.problems, section, ("min", "max", "min_lower"), f"{where}: 'first'")
    found = []
    for limit, _, value in section.pairs():
        figure = _number(value, f"{where}: '{limit}'", scope)
        if figure is not None:
            found.append((limit, figure))
    return tuple(sorted(found))
