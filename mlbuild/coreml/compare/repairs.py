"""Which of several doubtful operators one small repair would put right, and what repair.

Between the last value that matches and the first that can be put right there may stand several
operators that have no counterpart in the reference. Each is tried: left out, with its operands or
its parts in another order, as another operator of the same operands. If then everything up to the
value in question is the reference's, that was it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import torch

from .matching import Tensors, difference
from .settling import Parting
from .stepping import Step
from .walk import Walk

_FITS = 2e-3  # constants may be float16
_CLEARLY = 4.0  # so many times better than without the repair
_PARTS = 4  # outputs of one operator whose orders are tried
_BINARY: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "real_div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}

Made = dict[str, list[Any]]  # what a repaired step makes, by output


def repaired(walk: Walk, parting: Parting) -> tuple[Step, str] | None:
    """The step that a repair puts right, and which, unless the parting's own step is that.

    Args:
        walk: That found the parting.
        parting: Where candidate and reference part.
    """
    found = None
    for step in _tried(walk, parting):
        for how, made in _repairs(walk, step):
            if _fits(walk, parting, made):
                if step is parting.step:
                    return None
                found = found or (step, how)
    return found


def _tried(walk: Walk, parting: Parting) -> list[Step]:
    """The doubtful steps, and those of several outputs that they are made from."""
    reached = walk.made_from(parting.value)
    several = [s for s in walk.steps.steps if len(s.outputs) > 1 and reached & set(s.outputs)]
    return [*(s for s in several if s not in parting.doubtful), *parting.doubtful]


def _fits(walk: Walk, parting: Parting, made: Made) -> bool:
    """Whether the value in question is the reference's, if a step makes this."""
    try:
        result = made.get(parting.value) or walk.again({**walk.clean, **made}, made, parting.value)
    except (RuntimeError, ValueError, IndexError):  # of a shape that what follows cannot take
        return False
    if result is None or result[0].numel() != parting.match.values[0].numel():
        return False
    left = difference(result, parting.match.values)
    return left <= _FITS and left * _CLEARLY <= parting.error


def _repairs(walk: Walk, step: Step) -> Iterator[tuple[str, Made]]:
    """What a step would make with each repair that can be tried on it, and the repair's name."""
    given = walk.inputs_of(step)
    if len(step.outputs) > 1:
        yield from _other_orders(walk, step)
        return
    (output,) = step.outputs
    made = walk.made[output]
    if not isinstance(made[0], torch.Tensor) or not made[0].is_floating_point():
        return
    if len(step.inputs) == 1 and _alike([g[step.inputs[0]] for g in given], made):
        values = [g[step.inputs[0]].reshape(m.shape) for g, m in zip(given, made, strict=True)]
        yield "left out", {output: values}
    operands = _operands(step, given)
    if operands is None:
        return
    for kind, function in _BINARY.items():
        if kind != step.use.type:
            yield f"as {kind}", {output: [function(x, y) for x, y in operands]}
    if step.use.type in ("sub", "real_div"):
        function = _BINARY[step.use.type]
        yield "with its operands exchanged", {output: [function(y, x) for x, y in operands]}


def _other_orders(walk: Walk, step: Step) -> Iterator[tuple[str, Made]]:
    if len(step.outputs) > _PARTS:
        return
    for order in permutations(step.outputs):
        made = {name: walk.clean[other] for name, other in zip(step.outputs, order, strict=True)}
        if order != step.outputs and all(_alike(walk.clean[n], made[n]) for n in made):
            yield "with its parts in another order", made


def _operands(step: Step, given: list[dict[str, Any]]) -> list[tuple[Any, Any]] | None:
    """Both operands of a binary operator on each sample; None if one is not to be had."""
    if step.use.type not in _BINARY:
        return None
    found = []
    for values in given:
        pair = []
        for key in ("x", "y"):
            (name,) = step.use.inputs[key]
            value = step.weight(name) if name in step.weights else values.get(name)
            if not isinstance(value, torch.Tensor) or not value.is_floating_point():
                return None
            pair.append(value)
        found.append((pair[0], pair[1]))
    return found


def _alike(some: Tensors, others: Tensors) -> bool:
    """Whether values could stand for each other."""
    return all(
        isinstance(a, torch.Tensor) and a.is_floating_point() and a.numel() == b.numel()
        for a, b in zip(some, others, strict=True)
    )
