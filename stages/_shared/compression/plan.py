"""What is to be done with each weight: defaults, overrides in order, and who cannot take part."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from .weights import Weight

# From a weight and its options to the reason why it cannot be compressed so, or None.
Obstacle = Callable[[Weight, Mapping[str, Any]], "str | None"]


class OverrideError(ValueError):
    """An override matches nothing, or says nothing."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Choice:
    """One weight with its options, or with the reason for leaving it alone."""

    weight: Weight
    options: Mapping[str, Any] | None
    skipped: str | None
    overrides: tuple[int, ...]  # which overrides applied, counted from 1


def choose(
    weights: Sequence[Weight],
    defaults: Mapping[str, Any],
    overrides: Sequence[Mapping[str, Any]],
    obstacle: Obstacle,
) -> list[Choice]:
    """Decide for every weight.

    Args:
        weights: of the model, in the program's order.
        defaults: options of every weight that no override names.
        overrides: ``{"match": {...}, "set": {...}}`` or ``{"match": {...}, "skip": True}``;
            applied in order, a later one wins.
        obstacle: says why a weight cannot be compressed with its options.

    Raises:
        OverrideError: an override that matches no weight.
    """
    layers = [w for w in weights if len(w.shape) > 1]
    matched = [_matching(number, each, layers) for number, each in enumerate(overrides, 1)]
    return [_choice(weight, defaults, overrides, matched, obstacle) for weight in weights]


def _choice(
    weight: Weight,
    defaults: Mapping[str, Any],
    overrides: Sequence[Mapping[str, Any]],
    matched: Sequence[set[str]],
    obstacle: Obstacle,
) -> Choice:
    options, skipping, applied = dict(defaults), None, []
    for number, (override, names) in enumerate(zip(overrides, matched, strict=True), 1):
        if weight.name not in names:
            continue
        applied.append(number)
        if override.get("skip"):
            skipping = f"skipped by override {number}"
        else:
            skipping = None
            options.update(_given(override.get("set") or {}))
    reason = skipping or obstacle(weight, options)
    return Choice(weight, None if reason else options, reason, tuple(applied))


def _matching(number: int, override: Mapping[str, Any], layers: Sequence[Weight]) -> set[str]:
    match = _given(override.get("match") or {})
    if not override.get("skip") and not _given(override.get("set") or {}):
        raise OverrideError(
            f"override {number} changes nothing", "give it `set: {...}` or `skip: true`"
        )
    found = {  # by the constant's name: one that several operators use has one format
        weight.name
        for place, weight in enumerate(layers)
        if _matches(match, weight, place == 0, place == len(layers) - 1)
    }
    if not found:
        raise OverrideError(
            f"override {number} matches no weight: {_words(match)}", _near(match, layers)
        )
    return found


def _matches(match: Mapping[str, Any], weight: Weight, first: bool, last: bool) -> bool:
    tests = {
        "name": lambda want: any(fnmatchcase(n, want) for n in (weight.name, weight.op_name)),
        "op": lambda want: weight.op == want,
        "shape": lambda want: (
            len(want) == len(weight.shape)
            and all(w in ("*", size) for w, size in zip(want, weight.shape, strict=True))
        ),
        "min_elements": lambda want: weight.elements >= want,
        "max_elements": lambda want: weight.elements <= want,
        "depthwise": lambda want: weight.depthwise is want,
        "first": lambda want: first is want,
        "last": lambda want: last is want,
    }
    return all(tests[key](want) for key, want in match.items())


def _near(match: Mapping[str, Any], layers: Sequence[Weight]) -> str:
    """What a user may have meant: names, operators or shapes that the model does have."""
    if "name" in match:
        names = sorted({n for w in layers for n in (w.op_name, w.name)})
        near = difflib.get_close_matches(match["name"].replace("*", ""), names, n=5, cutoff=0.3)
        return "nearest names: " + ", ".join(near or names[:5])
    if "op" in match:
        return "operators with weights: " + ", ".join(sorted({w.op for w in layers}))
    if "shape" in match:
        shapes = sorted({w.shape for w in layers}, key=lambda s: (len(s) != len(match["shape"]), s))
        return "shapes in the model: " + ", ".join(str(list(s)) for s in shapes[:5])
    return f"the model has {len(layers)} weights of two or more dimensions"


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _words(match: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in sorted(match.items()))
