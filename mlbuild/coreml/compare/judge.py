"""From partings to accusations: which operator it is, why, and what damage it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..body import OperatorUse
from .comparison import Guilty
from .matching import difference
from .narrowing import exchanged_channels, misfit
from .repairs import repaired
from .settling import Parting
from .stepping import Step
from .walk import Walk

_REAL = 0.1  # of the worst damage
_FEW = 24  # how many operators' damage is followed to the outputs


def accuse(walk: Walk, partings: Sequence[Parting], pictures: Sequence[str] = ()) -> list[Guilty]:
    """One accusation for each parting, in order.

    Args:
        walk: That found the partings.
        partings: Where candidate and reference part.
        pictures: Names of the inputs that are pictures.
    """
    return [_accusation(walk, parting, pictures) for parting in partings[:_FEW]]


def ranked(suspects: Sequence[Guilty]) -> list[Guilty]:
    """The one to look at first, then the rest by damage.

    It is the first that does real damage: what follows it may follow from it.
    """
    worst = max((suspect.damage for suspect in suspects), default=0.0)
    enough = worst * _REAL if worst < float("inf") else 1.0
    leader = next((s for s in suspects if s.damage >= enough), None)
    rest = [s for s in suspects if s is not leader]
    return ([leader] if leader else []) + sorted(rest, key=lambda s: -s.damage)


def damage(walk: Walk, step: Step | None, value: str, made: list[Any] | None = None) -> float:
    """What one wrong value alone does to the outputs: the worst relative difference.

    Args:
        walk: With the right values.
        step: What makes the value.
        value: Its name.
        made: What it is; by default what the step made of right inputs.
    """
    wrong = made if made is not None else walk.made.get(value)
    if wrong is None:
        return 0.0
    # Other faults further on are in both, so that only this one tells.
    with_it = _outputs(walk, value, wrong)
    without = _outputs(walk, value, walk.clean[value])
    if with_it is None or without is None:
        return float("inf")
    return max((difference(with_it[name], without[name]) for name in with_it), default=0.0)


def _outputs(walk: Walk, value: str, made: list[Any]) -> dict[str, list[Any]] | None:
    """The outputs that depend on a value, if it is this; None where what follows fails."""
    values = {**walk.clean, value: made}
    changed = {value}
    for behind in walk.behind(value):
        inputs = [{n: values[n][i] for n in behind.inputs} for i in range(len(walk.samples))]
        try:
            results = [behind.run(given, walk.known(behind)) for given in inputs]
        except RuntimeError:  # of another shape than what follows can take
            return None
        for name in behind.outputs:
            values[name] = [result[name] for result in results]
            changed.add(name)
    return {
        name: values[name]
        for name in walk.outputs()
        if name in changed and isinstance(values[name][0], torch.Tensor)
    }


def _accusation(walk: Walk, parting: Parting, pictures: Sequence[str]) -> Guilty:
    step = parting.step
    reference = walk.index.first.values[parting.match.place]
    picture = exchanged_channels(walk, parting, pictures)
    if picture is not None:
        return _picture(walk, parting, picture)
    narrowed, repair = _breaks_numbers(walk, parting) or misfit(walk, parting), ""
    if narrowed is None:
        narrowed, repair = repaired(walk, parting) or (None, "")
    chosen = narrowed or step
    others = tuple(s.use for s in parting.doubtful if s is not chosen and _computes(s))
    if narrowed is not None:
        others = ()
    confidence = (0.95 if parting.proven else 0.6) / (1 + 0.5 * min(len(others), 4))
    return Guilty(
        operator=chosen.use,
        confidence=round(confidence, 2),
        why=_why(walk, parting, chosen, str(reference), repair),
        cause="arithmetic",
        reference=str(reference),
        scope=reference.scope,
        local=parting.error,
        damage=damage(walk, step, parting.value),
        doubtful=others,
    )


def _picture(walk: Walk, parting: Parting, name: str) -> Guilty:
    reference = walk.index.first.values[parting.match.place]
    return Guilty(
        operator=outside("input", name, "image"),
        confidence=0.95,
        why=f"with red and blue exchanged, {parting.value} is what {reference} gives: "
        "the picture's channels stand in the other order",
        cause="input",
        reference=str(reference),
        scope=reference.scope,
        local=parting.error,
        damage=damage(walk, parting.step, parting.value),
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


def _why(walk: Walk, parting: Parting, chosen: Step, reference: str, repair: str) -> str:
    if repair:
        return f"were it {repair}, {parting.value} would be {reference}"
    if not _all_finite(walk, chosen.outputs):
        return f"it makes values that are not finite of finite ones, where {reference} is finite"
    if chosen is not parting.step:
        return f"with another constant in it alone, {parting.value} would be {reference}"
    rest = (
        "with the reference's value in its place what follows is right again"
        if parting.proven
        else "it leads to the output that differs"
    )
    return f"on right inputs it differs from {reference} by {_share(parting.error)}; {rest}"


def _share(error: float) -> str:
    return f"{error:.2%} of its spread" if error < 10 else f"{error:.3g} times its spread"


def outside(kind: str, name: str, type_: str) -> OperatorUse:
    """What stands in the model's description, told like an operator."""
    return OperatorUse(kind, "", "description", 0, {}, ((name, type_),))
