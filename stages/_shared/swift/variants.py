"""Several models behind one wrapper: which of them runs is chosen on the device, by its system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..packaging.facts import Facts
from ..problem.problem import Problem


@dataclass(frozen=True)
class Variant:
    """A model that is preferred where its system is there.

    Attributes:
        resource: its name in the bundle, without suffix.
        platforms: the oldest systems that run it, by platform.
        target: for people, "iOS18".
        size: in MB, as text.
    """

    resource: str
    platforms: tuple[tuple[str, str], ...]
    target: str
    size: str


def variants(
    name: str, first: Facts, others: Sequence[Facts], platforms: Any
) -> tuple[list[Variant], list[int]]:
    """The models beside the first, the newest system first, and their places in ``others``.

    Args:
        name: of the package.
        first: the model for the oldest systems.
        others: those for newer ones.
        platforms: from a specification version to the oldest systems that run it.

    Raises:
        Problem: two are for the same systems, one is older than the first, or they do not take and
            give the same.
    """
    order = sorted(range(len(others)), key=lambda i: -others[i].summary["spec_version"])
    found: list[Variant] = []
    seen = {first.summary["spec_version"]: "the model"}
    for place in order:
        facts = others[place]
        version, target = facts.summary["spec_version"], facts.summary["target"]
        if version in seen:
            raise Problem(
                f"variants: two models are for {target}: which of them should run?",
                hint="convert them for different targets",
            )
        if version < first.summary["spec_version"]:
            raise Problem(
                f"variants: a model is for {target}, older than the model itself, which is for "
                f"{first.summary['target']}",
                hint="give the one for the oldest system as `model`",
            )
        _same(first, facts)
        seen[version] = target
        size = f"{facts.summary['size_bytes'] / 1e6:.2f}"
        found.append(Variant(f"{name}{_word(target)}", tuple(platforms(version)), target, size))
    return found, order


def _same(first: Facts, other: Facts) -> None:
    """Both must look alike to an app."""
    for what in ("inputs", "outputs"):
        pair = [getattr(facts.description, what) for facts in (first, other)]
        names = [[f.name for f in features] for features in pair]
        if names[0] != names[1]:
            raise Problem(
                f"variants: the model for {other.summary['target']} has the {what} "
                f"{', '.join(names[1])}, the other one {', '.join(names[0])}"
            )
        for one, two in zip(*pair, strict=True):
            if (one.kind, _shape(one)) != (two.kind, _shape(two)):
                raise Problem(
                    f"variants: '{one.name}' is {two} for {other.summary['target']}, "
                    f"{one} for {first.summary['target']}"
                )
    if first.labels != other.labels:
        raise Problem("variants: the models have other labels, or another order of them")


def _shape(feature: Any) -> Any:
    """Of an array its sizes; what its numbers are may differ, Core ML converts them."""
    array = getattr(feature, "array", None)
    return None if array is None else (array.shape, array.ranges, array.shapes)


def _word(target: str) -> str:
    return "".join(c for c in target.title().replace("Ios", "IOS") if c.isalnum())
