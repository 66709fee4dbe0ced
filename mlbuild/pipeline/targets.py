"""Which variants of a stage a reference means."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.pipeline.draft import Draft
from mlbuild.pipeline.matrix import Combo
from mlbuild.pipeline.naming import axes_of, variant_name
from mlbuild.pipeline.nodes import Node, scalar_text
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToStage
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill_text


def variant_names(target: Draft) -> list[str]:
    """Its variants, named in full."""
    return [variant_name(target.name, axes_of(combo)) for combo in target.variants]


def picked_variants(link: ToStage, target: Draft) -> list[Combo]:
    """The variants of ``target`` that a reference without templates means."""
    return [
        combo
        for combo in target.variants
        if all(a in combo and scalar_text(combo[a]) == value for a, value in link.picks)
    ]


class Targets:
    """Finds, for each variant of a stage, the variants of another that it means."""

    def __init__(self, drafts: Mapping[str, Draft], problems: Problems) -> None:
        self.drafts, self.problems = drafts, problems
        self.by_axes: dict[str, dict[frozenset[tuple[str, str]], str]] = {}
        self.shapes: dict[str, list[frozenset[str]]] = {}
        self.paired: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[str]]] = {}

    def one(self, link: ToStage, combo: Combo, where: str) -> str | None:
        """The variant that a single input means; None where there is none, which is noted."""
        if not link.picks and self.drafts[link.stage].variants == [{}]:
            return link.stage  # nearly all links of a large pipeline
        picks = self._picks(link, combo, where)
        if picks is None:
            return None
        values = {axis: scalar_text(value) for axis, value in combo.items()} | picks
        index, shapes = self._index(link.stage)
        for shape in shapes:
            if shape >= picks.keys() and shape <= values.keys():
                name = index.get(frozenset((axis, values[axis]) for axis in shape))
                if name is not None:
                    return name
        self._note_none(link, picks, where)
        return None

    def all(self, link: ToStage, combo: Combo, where: str) -> list[tuple[str, Combo]]:
        """The variants that ``{all: ...}`` means, with their axes."""
        picks = self._picks(link, combo, where)
        if picks is None:
            return []
        target = self.drafts[link.stage]
        found = [
            (variant_name(target.name, axes_of(v)), v)
            for v in target.variants
            if all(a in v and scalar_text(v[a]) == value for a, value in picks.items())
        ]
        if not found:
            self._note_none(link, picks, where)
        return found

    def needed(self, link: ToStage, combo: Combo, where: str) -> list[str]:
        """The variants that ``needs`` means: paired by shared axes, all where none pairs."""
        if link.picks:
            return [name for name, _ in self.all(link, combo, where)]
        target = self.drafts[link.stage]
        axes = {axis for variant in target.variants for axis in variant}
        shared = tuple(sorted(axes & combo.keys()))
        groups = self.paired.get((link.stage, shared))
        if groups is None:
            groups = self.paired[(link.stage, shared)] = {}
            for variant in target.variants:
                key = tuple(scalar_text(variant.get(axis)) for axis in shared)
                name = variant_name(target.name, axes_of(variant))
                groups.setdefault(key, []).append(name)
        found = groups.get(tuple(scalar_text(combo[axis]) for axis in shared))
        return found if found is not None else variant_names(target)

    def _index(
        self, stage: str
    ) -> tuple[dict[frozenset[tuple[str, str]], str], list[frozenset[str]]]:
        if stage not in self.by_axes:
            variants = self.drafts[stage].variants
            self.by_axes[stage] = {
                frozenset((a, scalar_text(v)) for a, v in combo.items()): variant_name(
                    stage, axes_of(combo)
                )
                for combo in variants
            }
            # The most particular variant first: `include` may give some of them more axes.
            self.shapes[stage] = sorted({frozenset(v) for v in variants}, key=len, reverse=True)
        return self.by_axes[stage], self.shapes[stage]

    def _picks(self, link: ToStage, combo: Combo, where: str) -> dict[str, str] | None:
        picks: dict[str, str] = {}
        for axis, text in link.picks:
            value: str | None = text
            if "${{" in text:
                value = matrix_text(text, link.node, combo, where, self.problems)
            if value is None:
                return None
            picks[axis] = value
        return picks

    def _note_none(self, link: ToStage, picks: Mapping[str, str], where: str) -> None:
        if self.problems.has(link.node):
            return
        shown = ",".join(f"{axis}={value}" for axis, value in picks.items())
        message = f"{where}: stage '{link.stage}' has no variant [{shown}]"
        names = variant_names(self.drafts[link.stage])
        self.problems.add(link.node, message, allowed=names[:12])


def matrix_text(text: str, node: Node, combo: Combo, where: str, problems: Problems) -> str | None:
    """Text of a reference with the variant's axes put in; None where one is not known."""
    scope = Scope({"matrix": combo}, where, problems)
    filled = fill_text(
        text, node, scope, lambda v, _: None if isinstance(v, (list, dict)) else scalar_text(v)
    )
    return None if filled is UNKNOWN else str(filled)
