"""Expands stages by their matrices and by those of the stages that they read."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.pipeline.draft import Draft
from mlbuild.pipeline.matrix import MAX_VARIANTS, Combo, join, project, without
from mlbuild.pipeline.naming import axes_of, variant_name
from mlbuild.pipeline.nodes import Node, scalar_text
from mlbuild.pipeline.order import expansion_order
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToDataset, ToStage
from mlbuild.pipeline.substitute import UNKNOWN, Scope, fill_text


def check_links(
    drafts: Mapping[str, Draft],
    off: set[str],
    datasets: Mapping[str, object],
    problems: Problems,
) -> None:
    """Notes stages, outputs and datasets that are named but are not there; drops those links."""
    for draft in drafts.values():
        for wire in draft.wires:
            where = f"{draft.where}: input '{wire.role}'"
            kept = []
            for reference in wire.references:
                if isinstance(reference, ToStage):
                    good = _known_stage(reference, where, drafts, off, problems)
                    good = good and _known_output(reference, where, drafts, problems)
                elif isinstance(reference, ToDataset):
                    good = _known_dataset(reference, where, datasets, problems)
                else:
                    good = True
                if good:
                    kept.append(reference)
            wire.references = kept
        where = f"{draft.where}: 'needs'"
        draft.needs = [n for n in draft.needs if _known_stage(n, where, drafts, off, problems)]


def _known_stage(
    link: ToStage, where: str, drafts: Mapping[str, Draft], off: set[str], problems: Problems
) -> bool:
    if link.stage in drafts:
        return True
    if link.stage in off:
        problems.add(link.node, f"{where}: stage '{link.stage}' is off: its 'if' is false")
    else:
        path = f"a file beside the project root is written ./{link}" if link.output else None
        message = f"{where}: unknown stage '{link.stage}'"
        problems.add(link.node, message, allowed=drafts, word=link.stage, hint=path)
    return False


def _known_output(
    link: ToStage, where: str, drafts: Mapping[str, Draft], problems: Problems
) -> bool:
    outputs = drafts[link.stage].outputs
    if outputs is None or link.output in outputs:
        return True
    message = f"{where}: stage '{link.stage}' has no output '{link.output}'"
    hint = None if outputs else "it declares no outputs"
    problems.add(link.node, message, allowed=outputs, word=link.output, hint=hint)
    return False


def _known_dataset(
    link: ToDataset, where: str, datasets: Mapping[str, object], problems: Problems
) -> bool:
    if link.name in datasets:
        return True
    hint = None if datasets else "the file has no 'datasets'"
    message = f"{where}: unknown dataset '{link.name}'"
    problems.add(link.node, message, allowed=datasets, word=link.name, hint=hint)
    return False


def expand(drafts: Mapping[str, Draft], problems: Problems) -> None:
    """Gives every draft its variants; notes circles."""
    edges = {name: draft.links() for name, draft in drafts.items()}
    for name in expansion_order(edges, problems):
        draft = drafts[name]
        try:
            draft.variants = _variants(draft, drafts, problems)
        except OverflowError:
            message = f"{draft.where} would have more than {MAX_VARIANTS} variants"
            problems.add(draft.key, message)
            draft.variants, draft.broken = [{}], True


def _variants(draft: Draft, drafts: Mapping[str, Draft], problems: Problems) -> list[Combo]:
    combos = draft.matrix.combos
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for wire in draft.wires:
        for link in wire.references:
            if not isinstance(link, ToStage) or wire.many:
                continue
            target = drafts[link.stage]
            if target.broken or not target.variants:
                # Its axes are unknown, or it stands on a circle: so is all that follows.
                draft.broken |= target.broken
                continue
            if not _picks_fit(link, target, draft, problems):
                draft.broken = True
                continue
            if link.templated or (link.stage, link.picks) in seen:
                continue
            seen.add((link.stage, link.picks))
            combos = _joined(draft, combos, link, target, problems)
    for link in _fan_in(draft):
        if drafts[link.stage].variants and not drafts[link.stage].broken:
            _picks_fit(link, drafts[link.stage], draft, problems)
    return _after_late(draft, combos, problems)


def _fan_in(draft: Draft) -> list[ToStage]:
    many = [r for w in draft.wires if w.many for r in w.references if isinstance(r, ToStage)]
    return [*many, *draft.needs]


def _joined(
    draft: Draft, combos: list[Combo], link: ToStage, target: Draft, problems: Problems
) -> list[Combo]:
    if target.variants == [{}]:
        return combos
    picked = {axis for axis, _ in link.picks}
    right = [
        {axis: value for axis, value in combo.items() if axis not in picked}
        for combo in picked_variants(link, target)
    ]
    joined = join(combos, right)
    own = draft.matrix.axes
    lost = project(combos, own) - project(joined, own)
    if lost or not joined:
        missing = sorted(",".join(f"{a}={v}" for a, v in sorted(combo)) for combo in lost)
        shown = ", ".join(m for m in missing[:5] if m)
        message = f"{draft.where}: no variant of stage '{link.stage}' has {shown}"
        if not shown:
            message = f"{draft.where}: its inputs have no variant in common with '{link.stage}'"
        problems.add(link.node, message, allowed=_names(target)[:12])
        draft.broken = True
        return combos
    return joined


def _names(target: Draft) -> list[str]:
    return [variant_name(target.name, axes_of(combo)) for combo in target.variants]


def _picks_fit(link: ToStage, target: Draft, draft: Draft, problems: Problems) -> bool:
    known = dict.fromkeys(axis for combo in target.variants for axis in combo)
    for axis, _ in link.picks:
        if axis not in known:
            message = f"{draft.where}: stage '{link.stage}' has no matrix axis '{axis}'"
            hint = None if known else "it has no matrix"
            problems.add(link.node, message, allowed=known, word=axis, hint=hint)
            return False
    if link.templated or picked_variants(link, target):
        return True
    shown = ",".join(f"{axis}={value}" for axis, value in link.picks)
    message = f"{draft.where}: stage '{link.stage}' has no variant [{shown}]"
    problems.add(link.node, message, allowed=_names(target)[:12], word=f"{link.stage}[{shown}]")
    return False


def picked_variants(link: ToStage, target: Draft) -> list[Combo]:
    """The variants of ``target`` that a reference without templates means."""
    return [
        combo
        for combo in target.variants
        if all(a in combo and scalar_text(combo[a]) == value for a, value in link.picks)
    ]


def _after_late(draft: Draft, combos: list[Combo], problems: Problems) -> list[Combo]:
    known = dict.fromkeys(axis for combo in combos for axis in combo)
    for entry, node in draft.matrix.late:
        unknown = [axis for axis in entry if axis not in known]
        if unknown and not draft.broken:
            message = f"{draft.where}: 'exclude' names the unknown axis '{unknown[0]}'"
            problems.add(node, message, allowed=known, word=unknown[0])
    kept = without(combos, [entry for entry, _ in draft.matrix.late])
    if not kept:
        problems.add(
            draft.node.entries["matrix"].key, f"{draft.where}: 'exclude' leaves no variant"
        )
        draft.broken = True
        return combos
    return kept


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
        return found if found is not None else _names(target)

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
        names = _names(self.drafts[link.stage])
        self.problems.add(link.node, message, allowed=names[:12])


def matrix_text(text: str, node: Node, combo: Combo, where: str, problems: Problems) -> str | None:
    """Text of a reference with the variant's axes put in; None where one is not known."""
    scope = Scope({"matrix": combo}, where, problems)
    filled = fill_text(
        text, node, scope, lambda v, _: None if isinstance(v, (list, dict)) else scalar_text(v)
    )
    return None if filled is UNKNOWN else str(filled)
