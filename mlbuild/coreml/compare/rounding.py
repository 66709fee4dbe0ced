"""How much of a difference the storage of constants explains: float16, palettes, quantization.

Where a constant of the candidate is a stored constant of the reference (each element within what
its storage may have done to it), the reference's own is used instead and nothing is left to
explain. Elsewhere (a converter multiplied two
constants before it rounded them) the operation is run again with constants moved by as much as
storing them may have moved them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import torch

from .compression import Reach
from .matching import difference
from .stepping import Step

_SUBNORMAL = 2.0**-24  # the distance of the smallest float16 numbers
_ROUND = 5  # bits; of numbers that were rounded to float16, one in 32 has no more
_BITS = 11  # of a float16's significand
_MAX_RANK = 5
_HIDDEN = 2.0**-11  # of constants inside of a loop, which are not moved
_MARGIN = 3.0  # rounding may do so many times what one trial of it did
_MANY = 1.6  # compression too, but it moves all elements, so that trials differ by less
_ENOUGH = 8  # elements to a channel, that a factor fitted to them means something
_USUAL = 2.0  # of squares: what a channel's elements are off may be so much more than usual
_FITTED = 4.0  # such a factor may be off by so many standard errors
_SAMPLES = 2  # enough to see how far rounding reaches


class Originals:
    """The reference's constants, found by what float16 or compression makes of them."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self._by_size: dict[int, list[torch.Tensor]] = defaultdict(list)
        for tensor in weights.values():
            if tensor.is_floating_point() and tensor.numel() > 1:
                self._by_size[tensor.numel()].append(tensor)

    def of(self, rounded: torch.Tensor) -> torch.Tensor | None:
        """The constant that was rounded to this one, in this one's layout; None if unknown."""
        for laid in self._laid(rounded):
            if torch.equal(laid.half().float(), rounded):
                return laid.contiguous()
        return None

    def compressed_to(self, weight: torch.Tensor, reach: Reach) -> Known | None:
        """The constant that a compressed one was made of, perhaps scaled channel by channel.

        Args:
            weight: Decompressed.
            reach: How far its elements may lie from what was compressed.
        """
        for laid in self._laid(weight):
            if bool(((weight - laid).abs() <= reach.most).all()):
                return Known(laid.contiguous())
        for laid in self._laid(weight):
            for axis in range(min(2, weight.dim())):
                scaled = _scaled(laid, weight, reach, axis)
                if scaled is None or scaled.loose is None:
                    continue
                room = reach.most + _FITTED * scaled.loose
                if bool(((weight - scaled.value).abs() <= room).all()):
                    return scaled
        return None

    def like(self, weight: torch.Tensor, most: int) -> Iterator[torch.Tensor]:
        """Constants of a weight's size in its layout, the most alike first."""
        found = [laid.contiguous() for laid in self._laid(weight)]
        found.sort(key=lambda laid: -float((laid * weight).sum() / laid.norm().clamp(min=1e-20)))
        yield from found[:most]

    def _laid(self, like: torch.Tensor) -> Iterator[torch.Tensor]:
        for original in self._by_size.get(like.numel(), ()):
            yield from _layouts(original, like)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A constant as it was before it was stored.

    Attributes:
        value: The constant.
        loose: How far each element may be off; None if it is the reference's.
    """

    value: torch.Tensor
    loose: torch.Tensor | None = None


def _scaled(original: torch.Tensor, weight: torch.Tensor, reach: Reach, axis: int) -> Known | None:
    """The original with the factor for each channel that suits a weight best: a norm's, perhaps."""
    axes = [a for a in range(weight.dim()) if a != axis]
    count = weight.numel() // weight.shape[axis]
    if count < _ENOUGH:
        return None
    there = weight != 0  # what was pruned tells nothing of the factor
    kept = original * there
    energy = kept.square().sum(axes, keepdim=True)
    scaled = original * ((kept * weight).sum(axes, keepdim=True) / energy.clamp(min=1e-20))
    beyond = _mean_square((weight - scaled) * there, axes)
    beyond = torch.minimum(beyond, _USUAL * _mean_square(reach.usual * there, axes))
    share = (beyond / _mean_square(weight, axes).clamp(min=1e-20) / count).sqrt()
    return Known(scaled, torch.where(energy > 0, share * scaled.abs(), reach.usual))


def _mean_square(values: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    return values.square().mean(axes, keepdim=True)


def _layouts(original: torch.Tensor, like: torch.Tensor) -> list[torch.Tensor]:
    result = [original.reshape(like.shape)]
    shape = [n for n in original.shape if n != 1]
    wanted = [n for n in like.shape if n != 1]
    if 2 <= len(shape) <= _MAX_RANK:
        for order in permutations(range(len(shape))):
            if [shape[i] for i in order] == wanted and list(order) != sorted(order):
                result.append(original.reshape(shape).permute(order).reshape(like.shape))
    return result


def unrounded(step: Step, originals: Originals) -> dict[str, Known]:
    """The constants of an operation as they were before they were stored, where known."""
    found = {}
    for name in step.weights:
        if name in step.compressed:
            known = originals.compressed_to(step.weight(name), step.reach(name))
            if known is not None:
                found[name] = known
        elif _is_half(step, name):
            original = originals.of(step.weight(name))
            if original is not None:
                found[name] = Known(original)
    return found


def explained(
    step: Step,
    inputs: Sequence[Mapping[str, Any]],
    made: Sequence[Mapping[str, Any]],
    known: Mapping[str, Known],
) -> float:
    """How far the outputs move when the constants move by as much as storing them may have done.

    Args:
        step: The operation.
        inputs: Its inputs on each sample.
        made: What it makes of them.
        known: Constants that are exact, or nearly so.

    Returns:
        The greatest relative difference over the outputs that may come of it, as ``difference``
        measures it.
    """
    uncertain = [name for name in step.weights if _is_uncertain(step, name, known.get(name))]
    if not uncertain:
        return _MARGIN * _HIDDEN if step.hides_half else 0.0
    generator = torch.Generator().manual_seed(0)
    moved = {name: exact.value for name, exact in known.items()}
    moved |= {name: _moved(step, name, known.get(name), generator) for name in uncertain}
    other = [step.run(given, moved) for given in inputs[:_SAMPLES]]
    pairs = [
        [[v for m in run for v in _tensors(m[output])] for run in (other, made)]
        for output in step.outputs
    ]
    errors = [difference(moved_to, was) for moved_to, was in pairs if was]
    unlike = [name for name in uncertain if name in step.compressed and name not in known]
    margin = _MANY if unlike else _MARGIN
    return margin * max((error for error in errors if error < float("inf")), default=0.0)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of a value; a list has several."""
    for tensor in getattr(value, "elements", [value]):
        if isinstance(tensor, torch.Tensor):
            yield tensor


def _is_uncertain(step: Step, name: str, known: Known | None) -> bool:
    if known is not None:
        return known.loose is not None
    if name in step.compressed:
        return True
    return _is_half(step, name) and not _is_round(step.weight(name))


def _is_round(value: torch.Tensor) -> bool:
    """Whether it is one number of so few bits that it was hardly rounded: 2, 0.5, 12."""
    significand = torch.frexp(value.float())[0] * 2**_ROUND
    return value.numel() == 1 and bool((significand == significand.round()).all())


def _is_half(step: Step, name: str) -> bool:
    dtype = step.types[name].dtype
    return dtype is not None and dtype.name in ("fp16", "bf16")


def _moved(step: Step, name: str, known: Known | None, generator: torch.Generator) -> torch.Tensor:
    value = step.weight(name)
    if known is not None and known.loose is not None:
        return known.value + known.loose * torch.randn(value.shape, generator=generator)
    if name in step.compressed:
        share = torch.rand(value.shape, generator=generator) * 2 - 1
        return value + share * step.reach(name).usual
    sign = torch.randint(0, 2, value.shape, generator=generator).to(value.dtype) * 2 - 1
    exponent = torch.frexp(value.abs())[1].to(value.dtype)
    return value + sign * torch.clamp(torch.exp2(exponent - _BITS), min=_SUBNORMAL) / 2
