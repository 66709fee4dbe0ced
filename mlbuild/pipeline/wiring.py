"""Expands stages by their matrices and by those of the stages that they read."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.pipeline.draft import Draft
from mlbuild.pipeline.matrix import MAX_VARIANTS, Combo, join, project, without
from mlbuild.pipeline.order import expansion_order
from mlbuild.pipeline.problems import Problems
from mlbuild.pipeline.references import ToStage
from mlbuild.pipeline.targets import picked_variants, variant_names


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
        problems.add(link.node, message, allowed=variant_names(target)[:12])
        draft.broken = True
        return combos
    return joined


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
    problems.add(
        link.node, message, allowed=variant_names(target)[:12], word=f"{link.stage}[{shown}]"
    )
    return False


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
