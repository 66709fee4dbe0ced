"""From partings to accusations: which operator it is, why, and what damage it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..body import OperatorUse
from .comparison import Guilty
from .matching import difference
from .stepping import Step
from .walk import Parting, Walk

_FEW = 24  # how many operators' damage is followed to the outputs


def accuse(walk: Walk, partings: Sequence[Parting]) -> list[Guilty]:
    """One accusation for each parting, the most damaging first."""
    found = [_accusation(walk, parting) for parting in partings[:_FEW]]
    return sorted(found, key=lambda g: (g.confidence < 0.5, -g.damage))


def damage(walk: Walk, step: Step | None, value: str) -> float:
    """What one wrong value alone does to the outputs: the worst relative difference."""
    if value not in walk.made:
        return 0.0
    values = {**walk.clean, value: walk.made[value]}
    changed = {value}
    for behind in walk.behind(value):
        if not changed & set(behind.inputs):
            continue
        inputs = [{n: values[n][i] for n in behind.inputs} for i in range(len(walk.samples))]
        made = [behind.run(given, walk.known(behind)) for given in inputs]
        for name in behind.outputs:
            values[name] = [m[name] for m in made]
            changed.add(name)
    return max(
        (
            difference(values[name], walk.clean[name])
            for name in walk.outputs()
            if name in changed and isinstance(values[name][0], torch.Tensor)
        ),
        default=0.0,
    )


def _accusation(walk: Walk, parting: Parting) -> Guilty:
    step = parting.step
    assert step is not None
    reference = walk.index.first.values[parting.match.place]
    chosen = _breaks_numbers(walk, parting) or step
    others = tuple(s.use for s in parting.doubtful if s is not chosen and _computes(s))
    confidence = (0.95 if parting.proven else 0.6) / (1 + 0.5 * min(len(others), 4))
    return Guilty(
        operator=chosen.use,
        confidence=round(confidence, 2),
        why=_why(walk, parting, chosen, str(reference)),
        cause="arithmetic",
        reference=str(reference),
        scope=reference.scope,
        local=parting.error,
        damage=damage(walk, step, parting.value),
        doubtful=others,
    )


def _breaks_numbers(walk: Walk, parting: Parting) -> Step | None:
    """The first doubtful step that makes something not finite of finite inputs."""
    for step in parting.doubtful:
        if _all_finite(walk, step.inputs) and not _all_finite(walk, step.outputs):
            return step
    return None


def _all_finite(walk: Walk, names: Sequence[str]) -> bool:
    tensors = [v for n in names for v in walk.made.get(n, walk.clean.get(n, ()))]
    return all(bool(t.isfinite().all()) for t in tensors if isinstance(t, torch.Tensor))


def _computes(step: Step) -> bool:
    return step.use.type not in ("cast", "identity", "reshape", "expand_dims", "squeeze")


def _why(walk: Walk, parting: Parting, chosen: Step, reference: str) -> str:
    if chosen is not parting.step:
        return f"it makes values that are not finite of finite ones, where {reference} is finite"
    how = "alone " if parting.proven else ""
    rest = (
        "with the reference's value in its place what follows is right again"
        if parting.proven
        else "it leads to the output that differs"
    )
    return f"on right inputs it {how}differs from {reference} by {_share(parting.error)}; {rest}"


def _share(error: float) -> str:
    return f"{error:.2%} of its spread" if error < 10 else f"{error:.3g} times its spread"


def outside(kind: str, name: str, type_: str) -> OperatorUse:
    """What stands in the model's description, told like an operator."""
    return OperatorUse(kind, "", "description", 0, {}, ((name, type_),))


__all__: list[Any] = ["accuse", "damage", "outside"]
