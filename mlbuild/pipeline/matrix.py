"""A stage's own matrix, and how the variants of several stages come together."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mlbuild.pipeline.fields import named, told
from mlbuild.pipeline.naming import axes_of
from mlbuild.pipeline.nodes import Mapped, Node, Scalar, Sequence, scalar_text
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill
from mlbuild.records import Json

Combo = dict[str, Json]  # axis -> value
MAX_VARIANTS = 20_000
# These would make "quantize[bits=4,size=x]" ambiguous.
_UNNAMEABLE = re.compile(r"[\[\],=\x00-\x1f\x7f]|^\s|\s$|\$\{\{")


@dataclass(slots=True)
class Matrix:
    """Own axes after include and exclude; ``late`` excludes name axes that inputs bring along."""

    axes: tuple[str, ...] = ()
    combos: list[Combo] = field(default_factory=lambda: [{}])
    late: list[tuple[Combo, Node]] = field(default_factory=list)


def read_matrix(node: Node | None, where: str, scope: Scope) -> Matrix | None:
    """The stage's matrix; None where it is wrong, which is noted."""
    problems = scope.problems
    if node is None:
        return Matrix()
    before = len(problems)
    if not isinstance(node, Mapped):
        problems.add(node, f"{where}: 'matrix' is a map of axes", got=node.what)
        return None
    axes: dict[str, list[Json]] = {}
    for name, key, value in named(problems, node, f"{where}: 'matrix'", "an axis"):
        if name not in ("include", "exclude"):
            axes[name] = _values(name, key, value, where, scope)
    include = _combos(node.get("include"), "include", where, scope)
    exclude = _combos(node.get("exclude"), "exclude", where, scope)
    if len(problems) > before:
        return None
    if math.prod(len(v) for v in axes.values()) > MAX_VARIANTS:
        problems.add(node, f"{where}: a matrix of more than {MAX_VARIANTS} variants")
        return None
    return _assembled(axes, include, exclude, node, where, problems)


def _values(name: str, key: Scalar, node: Node, where: str, scope: Scope) -> list[Json]:
    values = fill(node, scope)
    if values is UNKNOWN:
        return []
    if not isinstance(values, list) or not values:
        message = f"{where}: axis '{name}' is a list of values"
        scope.problems.add(node, message, got=told(values) if values != [] else "an empty list")
        return []
    items = node.items if isinstance(node, Sequence) else []
    seen: set[str] = set()
    for number, value in enumerate(values):
        place = items[number] if number < len(items) else node
        _check_value(name, value, place, where, scope.problems)
        text = scalar_text(value)
        if text in seen:
            scope.problems.add(place, f"{where}: axis '{name}' has {text} twice")
        seen.add(text)
    return values


def _check_value(name: str, value: Json, node: Node, where: str, problems: Problems) -> None:
    if isinstance(value, (list, Mapping)):
        message = f"{where}: a value of axis '{name}' is text, a number, true or false"
        hint = "name it on the axis, and add the rest with 'include'"
        problems.add(node, message, got=told(value), hint=hint)
    elif isinstance(value, str) and (not value or _UNNAMEABLE.search(value)):
        message = f"{where}: a value of axis '{name}' cannot stand in a variant's name"
        hint = "it may hold no brackets, commas, '=', control characters or outer blanks"
        problems.add(node, message, got=told(value), hint=hint)


def _combos(node: Node | None, key: str, where: str, scope: Scope) -> list[tuple[Combo, Node]]:
    if node is None:
        return []
    if not isinstance(node, Sequence):
        scope.problems.add(node, f"{where}: '{key}' is a list of maps", got=node.what)
        return []
    found: list[tuple[Combo, Node]] = []
    for item in node.items:
        if not isinstance(item, Mapped) or not item.entries:
            scope.problems.add(item, f"{where}: '{key}' is a list of maps", got=item.what)
            continue
        combo: Combo = {}
        for name, _, value in named(scope.problems, item, f"{where}: '{key}'", "an axis"):
            filled = fill(value, scope)
            if filled is not UNKNOWN:
                if not isinstance(filled, (list, Mapping)):
                    _check_value(name, filled, value, where, scope.problems)
                combo[name] = filled
        found.append((combo, item))
    return found


def _assembled(
    axes: dict[str, list[Json]],
    include: list[tuple[Combo, Node]],
    exclude: list[tuple[Combo, Node]],
    node: Mapped,
    where: str,
    problems: Problems,
) -> Matrix:
    combos: list[Combo] = [{}]
    for name, values in axes.items():
        combos = [{**combo, name: value} for combo in combos for value in values]
    now = [combo for combo, _ in exclude if combo.keys() <= axes.keys()]
    late = [(combo, at) for combo, at in exclude if not combo.keys() <= axes.keys()]
    combos = without(combos, now)
    originals = combos if axes else []
    combos = included(originals, axes, [combo for combo, _ in include])
    if not combos and (axes or include):
        problems.add(node, f"{where}: 'exclude' leaves no variant")
    if len({axes_of(combo) for combo in combos}) < len(_distinct(combos)):
        message = f"{where}: two variants differ only in a list or map, and so share a name"
        hint = "add an axis that names them: {recipe: mixed, ...}"
        problems.add(node, message, hint=hint)
    names = dict.fromkeys([*axes, *(name for combo, _ in include for name in combo)])
    return Matrix(tuple(names), _distinct(combos) or [{}], late)


def included(originals: list[Combo], axes: Mapping[str, object], extra: list[Combo]) -> list[Combo]:
    """As GitHub Actions has it: an entry extends each combination none of whose original values
    it would change, and is a combination of its own where there is none.
    """
    extended = [dict(combo) for combo in originals]
    added: list[Combo] = []
    for entry in extra:
        fits = [
            number
            for number, combo in enumerate(originals)
            if all(same(combo[name], value) for name, value in entry.items() if name in axes)
        ]
        for number in fits:
            extended[number].update(entry)
        if not fits:
            added.append(dict(entry))
    return extended + added


def without(combos: list[Combo], excluded: Iterable[Combo]) -> list[Combo]:
    """The combinations that hold none of ``excluded``."""
    for entry in excluded:
        wanted = {(name, scalar_text(value)) for name, value in entry.items()}
        combos = [combo for combo in combos if not wanted <= _key(combo)]
    return combos


def join(left: list[Combo], right: list[Combo]) -> list[Combo]:
    """Shared axes pair by value, different axes multiply; linear in what goes in and comes out."""
    joined: list[tuple[int, int, Combo]] = []
    for left_axes, lefts in _by_axes(left).items():
        for right_axes, rights in _by_axes(right).items():
            shared = sorted(left_axes & right_axes)
            index: dict[tuple[str, ...], list[tuple[int, Combo]]] = {}
            for number, combo in rights:
                key = tuple(scalar_text(combo[name]) for name in shared)
                index.setdefault(key, []).append((number, combo))
            for number, combo in lefts:
                key = tuple(scalar_text(combo[name]) for name in shared)
                for other, partner in index.get(key, ()):
                    joined.append((number, other, {**partner, **combo}))
            if len(joined) > MAX_VARIANTS:
                raise OverflowError
    return _distinct(combo for _, _, combo in sorted(joined, key=lambda found: found[:2]))


def _by_axes(combos: list[Combo]) -> dict[frozenset[str], list[tuple[int, Combo]]]:
    groups: dict[frozenset[str], list[tuple[int, Combo]]] = {}
    for number, combo in enumerate(combos):
        groups.setdefault(frozenset(combo), []).append((number, combo))
    return groups


def same(one: Json, other: Json) -> bool:
    """Whether two values of an axis are one: they would have the same name."""
    return scalar_text(one) == scalar_text(other)


def _key(combo: Combo) -> frozenset[tuple[str, str]]:
    return frozenset((name, scalar_text(value)) for name, value in combo.items())


def _distinct(combos: Iterable[Combo]) -> list[Combo]:
    return list({_key(combo): combo for combo in reversed(list(combos))}.values())[::-1]


def project(combos: Iterable[Combo], names: Iterable[str]) -> set[frozenset[tuple[str, str]]]:
    """What is left of each combination when only some axes are looked at."""
    kept = set(names)
    return {_key({n: v for n, v in combo.items() if n in kept}) for combo in combos}
