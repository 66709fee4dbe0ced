"""Compressed weights that are none of the reference's, where the output alone could be rounding.

Few bits excuse much. But if an operator gives exactly the reference's value with one of the
reference's constants in the place of its own, then that is the one that was compressed; and where
the stored elements lie further from it than any way of storing puts them, the storage is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .comparison import Guilty
from .judge import damage
from .matching import Tensors, difference
from .stepping import Step
from .walk import Walk

_BEYOND = 1.5  # times half a step; evenly spread rounding errors come to 0.58
_ENOUGH = 16  # elements to a channel, that factor and bias fitted to them mean something
_AFFINE = 1e-4  # float32 arithmetic, and means that are taken away
_CHANNELS = {"conv": 1, "linear": -1}  # where an output has those of the weight's first axis
_TRIALS = 16  # constants of the reference that are tried for one


def misplaced(walk: Walk) -> Iterator[Guilty]:
    """Operators whose compressed weights stand for none of the reference's constants, in order."""
    for step in walk.steps.steps:
        known = walk.known(step)
        for name in step.weights:
            if name in step.compressed and name not in known:
                guilty = _judge(walk, step, name)
                if guilty is not None:
                    yield guilty


def _judge(walk: Walk, step: Step, name: str) -> Guilty | None:
    weight, usual = step.weight(name), step.reach(name).usual
    output = step.outputs[0]
    for original in walk.originals.like(weight, _TRIALS):
        place, wanted = _wanted(walk, step, name, original)
        if place is None:
            continue
        beyond = float((weight - wanted).square().mean().sqrt() / usual.square().mean().sqrt())
        if beyond < _BEYOND:
            return None
        recorded = walk.index.first.values[place]
        theirs = next(iter(walk.index.laid_out(place, walk.made[output])))
        return Guilty(
            operator=step.use,
            confidence=0.8,
            why=f"with the reference's own weight in the place of {name} it gives {recorded}, "
            f"but what is stored lies {beyond:.3g} half steps from that weight",
            cause="arithmetic",
            reference=str(recorded),
            scope=recorded.scope,
            local=difference(walk.made[output], theirs),
            damage=damage(walk, step, output),
        )
    return None


def _wanted(
    walk: Walk, step: Step, name: str, original: torch.Tensor
) -> tuple[int | None, torch.Tensor]:
    """The reference's value that an operator gives with one weight, and that weight's factors."""
    instead = {**walk.known(step), name: original}
    made = [step.run(given, instead)[step.outputs[0]] for given in walk.inputs_of(step)]
    match = walk.index.find(made, _AFFINE)
    if match is not None and match.strong and not match.piece:
        return match.place, original
    axis = _CHANNELS.get(step.use.type)
    if axis is None or made[0].numel() * len(made) < _ENOUGH * made[0].shape[axis]:
        return None, original
    for place in walk.index.of_size(made[0].numel()):
        factors = _factors(made, next(iter(walk.index.laid_out(place, made))), axis)
        if factors is not None:
            return place, original * factors.reshape([-1] + [1] * (original.dim() - 1))
    return None, original


def _factors(made: Tensors, theirs: Tensors, axis: int) -> torch.Tensor | None:
    """What each channel was multiplied by (by a norm that is part of the weight now), if only so.

    Returns:
        The factors, if with them and a bias for each channel one value is the other.
    """
    if len(made) != len(theirs):
        return None
    x, y = (
        torch.cat([v.double().movedim(axis, 0).flatten(1) for v in s], 1) for s in (made, theirs)
    )
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    factors = (x * y).sum(1, keepdim=True) / x.square().sum(1, keepdim=True).clamp(min=1e-30)
    if not bool(y.any()) or difference([factors * x], [y]) > _AFFINE:
        return None
    return factors.flatten().float()
