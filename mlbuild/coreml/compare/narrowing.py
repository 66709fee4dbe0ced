"""Which of several doubtful operators it is: the one whose repair alone would explain everything.

Between the last value that matches and the first that can be put right there may stand several
operators that have no counterpart in the reference: the scale and the bias of a picture, the
pieces of a norm. Where they form a chain of sums and products with constants, each is tried: with
the others as they are, could *some* constant have given what is needed?
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .matching import Tensors, difference
from .settling import Parting
from .stepping import Step
from .walk import Walk

_FITS = 2e-3  # constants may be float16
_NEARLY = 0.02  # a step that changes no more than that may be wrong for just this
_CLEARLY = 4.0  # so many times better than the others
_AFFINE = ("mul", "add", "sub", "real_div")


def exchanged_channels(walk: Walk, parting: Parting, pictures: Sequence[str]) -> str | None:
    """The picture input whose channels stand in the other order, if that explains the parting."""
    reached = walk.made_from(parting.value)
    for name in pictures:
        planes: list[Any] = walk.clean[name]
        if name not in reached or planes[0].shape[1] != 3:
            continue
        values = {**walk.clean, name: [p.flip(1) for p in planes]}
        try:
            turned = walk.again(values, [name], parting.value)
        except RuntimeError:
            continue
        if turned is not None and difference(turned, parting.match.values) <= _FITS:
            return name
    return None


def misfit(walk: Walk, parting: Parting) -> Step | None:
    """The one step of a chain of sums and products whose constant alone can be at fault."""
    chain = [*parting.doubtful, *_neutral(walk, parting)]
    if len(chain) < 2 or not _is_chain(chain):
        return None
    made = _made(walk, chain)
    misses = [_miss(chain, number, made[number], parting) for number in range(len(chain))]
    best, *others = sorted(misses)
    if best > _FITS or others[0] < _CLEARLY * best:
        return None
    return chain[misses.index(best)]


def _neutral(walk: Walk, parting: Parting) -> list[Step]:
    """Steps behind a parting that hardly change anything, perhaps for being wrong."""
    found: list[Step] = []
    name = parting.value
    while True:
        users = [step for step in walk.steps.steps if name in step.inputs]
        if len(users) != 1 or users[0].use.type not in _AFFINE or len(users[0].outputs) != 1:
            return found
        made = walk.made[users[0].outputs[0]]
        if difference(made, parting.match.values) > _NEARLY:
            return found
        found += users
        name = users[0].outputs[0]


def _is_chain(chain: Sequence[Step]) -> bool:
    for number, step in enumerate(chain):
        if step.use.type not in _AFFINE or len(step.inputs) != 1:
            return False
        if step.use.type == "real_div" and step.inputs[0] not in step.use.inputs["x"]:
            return False
        if number and step.inputs[0] not in chain[number - 1].outputs:
            return False
    return True


def _made(walk: Walk, chain: Sequence[Step]) -> list[Tensors]:
    """What each step of a chain is given, all of them being as they are."""
    given: list[Tensors] = [walk.clean[chain[0].inputs[0]]]
    for step in chain[:-1]:
        results = [step.run({step.inputs[0]: value}) for value in given[-1]]
        given.append([result[step.outputs[0]] for result in results])
    return given


def _miss(chain: Sequence[Step], number: int, given: Tensors, parting: Parting) -> float:
    """How far the best constant for each channel leaves a step from what is needed of it."""
    wanted: Tensors = [value.float() for value in parting.match.values]
    for later in reversed(chain[number + 1 :]):
        wanted = [_undone(later, value) for value in wanted]
    axes = [axis for axis in range(wanted[0].dim()) if axis != 1]
    pairs = list(zip(given, wanted, strict=True))
    if chain[number].use.type in ("mul", "real_div"):
        above = sum((g * w).sum(axes, keepdim=True) for g, w in pairs)
        below = torch.as_tensor(sum((g * g).sum(axes, keepdim=True) for g in given))
        fitted = [g * (above / below.clamp(min=1e-12)) for g in given]
    else:
        constant = sum((w - g).mean(axes, keepdim=True) for g, w in pairs) / len(pairs)
        fitted = [g + constant for g in given]
    return difference(fitted, wanted)


def _undone(step: Step, made: torch.Tensor) -> torch.Tensor:
    """The input from which a step, an affine function of each element, would have made a value."""
    name, output = step.inputs[0], step.outputs[0]
    offset = step.run({name: torch.zeros_like(made)})[output]
    slope = step.run({name: torch.ones_like(made)})[output] - offset
    return (made - offset) / slope
