"""How much of a difference the storage of constants explains: float16, palettes, quantization.

Where a constant of the candidate is exactly a rounded constant of the reference, the reference's
own is used instead and nothing is left to explain. Elsewhere (a converter multiplied two
constants before it rounded them) the operation is run again with constants moved by as much as
storing them may have moved them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import torch

from .matching import difference
from .stepping import Step

_SUBNORMAL = 2.0**-24  # the distance of the smallest float16 numbers
_BITS = 11  # of a float16's significand
_MAX_RANK = 5
_HIDDEN = 2.0**-11  # of constants inside of a loop, which are not moved
_SAMPLES = 2  # enough to see how far rounding reaches


class Originals:
    """The reference's constants, found by what float16 makes of them."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self._by_size: dict[int, list[torch.Tensor]] = defaultdict(list)
        for tensor in weights.values():
            if tensor.is_floating_point() and tensor.numel() > 1:
                self._by_size[tensor.numel()].append(tensor)

    def of(self, rounded: torch.Tensor) -> torch.Tensor | None:
        """The constant that was rounded to this one, in this one's layout; None if unknown."""
        for original in self._by_size.get(rounded.numel(), ()):
            for laid in _layouts(original, rounded):
                if torch.equal(laid.half().float(), rounded):
                    return laid.contiguous()
        return None


def _layouts(original: torch.Tensor, like: torch.Tensor) -> list[torch.Tensor]:
    result = [original.reshape(like.shape)]
    shape = [n for n in original.shape if n != 1]
    wanted = [n for n in like.shape if n != 1]
    if 2 <= len(shape) <= _MAX_RANK:
        for order in permutations(range(len(shape))):
            if [shape[i] for i in order] == wanted and list(order) != sorted(order):
                result.append(original.reshape(shape).permute(order).reshape(like.shape))
    return result


def unrounded(step: Step, originals: Originals) -> dict[str, torch.Tensor]:
    """The constants of an operation as they were before they were rounded, where known."""
    found = {}
    for name in step.weights:
        if name not in step.compressed and _is_half(step, name):
            original = originals.of(step.weight(name))
            if original is not None:
                found[name] = original
    return found


def explained(
    step: Step,
    inputs: Sequence[Mapping[str, Any]],
    made: Sequence[Mapping[str, Any]],
    known: Mapping[str, torch.Tensor],
) -> float:
    """How far the outputs move when the constants move by half the distance of their neighbours.

    Args:
        step: The operation.
        inputs: Its inputs on each sample.
        made: What it makes of them.
        known: Constants that are exact and stay where they are.

    Returns:
        The greatest relative difference over the outputs, as ``difference`` measures it.
    """
    uncertain = [
        name
        for name in step.weights
        if name not in known and (name in step.compressed or _is_half(step, name))
    ]
    if not uncertain:
        return _HIDDEN if step.hides_half else 0.0
    generator = torch.Generator().manual_seed(0)
    moved = {**known, **{name: _moved(step, name, generator) for name in uncertain}}
    other = [step.run(given, moved) for given in inputs[:_SAMPLES]]
    errors = [
        difference([m[output] for m in other], [m[output] for m in made])
        for output in step.outputs
        if isinstance(made[0][output], torch.Tensor)
    ]
    return max((error for error in errors if error < float("inf")), default=0.0)


def _is_half(step: Step, name: str) -> bool:
    dtype = step.types[name].dtype
    return dtype is not None and dtype.name in ("fp16", "bf16")


def _moved(step: Step, name: str, generator: torch.Generator) -> torch.Tensor:
    value = step.weight(name)
    sign = torch.randint(0, 2, value.shape, generator=generator).to(value.dtype) * 2 - 1
    if name in step.compressed:
        return value + sign * _half_gaps(value)
    exponent = torch.frexp(value.abs())[1].to(value.dtype)
    return value + sign * torch.clamp(torch.exp2(exponent - _BITS), min=_SUBNORMAL) / 2


def _half_gaps(value: torch.Tensor) -> torch.Tensor:
    """Half the distance of each element to its next different neighbour, row by row."""
    rows = value.reshape(value.shape[0], -1) if value.dim() > 1 else value.reshape(1, -1)
    result = torch.zeros_like(rows)
    for row, gaps in zip(rows, result, strict=True):
        levels = torch.unique(row)
        if len(levels) > 1:
            steps = levels.diff()
            up = torch.cat([steps, steps[-1:]])
            down = torch.cat([steps[:1], steps])
            gaps.copy_(torch.maximum(up, down)[torch.searchsorted(levels, row)] / 2)
    return result.reshape(value.shape)
