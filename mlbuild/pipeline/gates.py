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
        gate = read_gate(name, key, value, metrics, scope)
        if gate is not None:
            gates.append(gate)
    return tuple(gates), exclude


def read_gate(
    name: str, key: Scalar, node: Node, metrics: Metrics | None, scope: Scope
) -> Gate | None:
    """One gate; None where it is wrong, which is noted."""
    metric = None
    if metrics is not None:
        metric = declared(name, metrics)
        if metric is None:
            message = f"{scope.where}: unknown metric '{shorten(name)}'"
            allowed = list(metrics) or None
            hint = None if allowed else "this stage records no metrics"
            scope.problems.add(key, message, allowed=allowed or (), word=name, hint=hint)
            return None
    return _gate(name, key, node, metric, scope)


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
        if limit in keys.LIMITS
    }
    if not any(entry in keys.GATE and entry != "first" for entry in node.entries) and all(
        entry in keys.GATE for entry in node.entries
    ):
        allowed = (*keys.LIMITS, *keys.SINCE)
        problems.add(key, f"{where} sets no limit", allowed=allowed)
    ends = [limit for limit in limits if limit not in ("min", "max")]
    if ends and metric is not None and not (metric.share or metric.interval):
        message = f"{where}: '{ends[0]}' is for metrics that have an interval, as shares"
        problems.add(node.entries[ends[0]].key, message, hint=f"use '{ends[0][:3]}'")
    since = {limit: _since(limit, node.get(limit), where, scope) for limit in keys.SINCE}
    relative = tuple(limit for limit, (_, share) in since.items() if share)
    distances = {limit: value for limit, (value, _) in since.items()}
    first = _first(node, where, scope)
    place = key.place
    return Gate(name, **limits, **distances, relative=relative, first=first, place=place)


def _number(node: Node, what: str, scope: Scope) -> float | None:
    value = fill(node, scope)
    return None if value is UNKNOWN else fields.number(scope.problems, value, node, what)


def _since(limit: str, node: Node | None, where: str, scope: Scope) -> tuple[float | None, bool]:
    """How far from the last release, and whether that is a share of its figure."""
    if node is None:
        return None, False
    what = f"{where}: '{limit}'"
    if not isinstance(node, Mapped) or not {"value", "against"} <= node.entries.keys():
        hint = f"{limit}: {{value: 0.01, against: release}}"
        scope.problems.add(node, f"{what} has a value and what it is compared with", hint=hint)
        return None, False
    fields.check_keys(scope.problems, node, ("value", "against", "relative"), what)
    at = node.entries["against"].value
    against: Json = fill(at, scope)
    if against is not UNKNOWN and against != "release":
        message = f"{what}: 'against' has no such value"
        word = against if isinstance(against, str) else None
        got = fields.told(against)
        scope.problems.add(at, message, got=got, allowed=("release",), word=word)
    at = node.entries["value"].value
    value = fill(at, scope)
    if value is UNKNOWN:
        return None, False
    number = fields.number(scope.problems, value, at, f"{what}: 'value'", least=0)
    return number, _relative(node, what, scope)


def _relative(node: Mapped, what: str, scope: Scope) -> bool:
    if "relative" not in node.entries:
        return False
    at = node.entries["relative"].value
    value = fill(at, scope)
    if value is UNKNOWN:
        return False
    return bool(fields.boolean(scope.problems, value, at, f"{what}: 'relative'"))


def _first(node: Mapped, where: str, scope: Scope) -> tuple[tuple[str, float], ...]:
    inner = node.get("first")
    if inner is None:
        return ()
    if not any(limit in node.entries for limit in keys.SINCE):
        message = f"{where}: 'first' stands beside 'max_drop' or 'max_rise'"
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
