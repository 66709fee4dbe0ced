"""Padding of the last dimensions.

Source: coremltools MIL op docs, iOS15 pad.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..operator import Ints, Tensor, operator


@operator("pad", exact=True)
def pad(x: Tensor, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Pad the last len(pad) / 2 dimensions: with a constant, by reflection or by repetition."""
    pairs = list(zip(pad[0::2], pad[1::2], strict=True))
    first = x.dim() - len(pairs)
    if mode == "constant":
        amounts = [n for pair in reversed(pairs) for n in pair]
        fill = constant_val if x.is_floating_point() else int(constant_val)
        return functional.pad(x, amounts, value=fill)
    for offset, (before, after) in enumerate(pairs):
        if before or after:
            x = _extend(x, first + offset, before, after, mode)
    return x


def _extend(x: Tensor, axis: int, before: int, after: int, mode: str) -> Tensor:
    size = int(x.shape[axis])
    places = torch.arange(-before, size + after)
    if mode == "replicate":
        return x.index_select(axis, places.clamp(0, size - 1))
    if mode != "reflect":
        raise ValueError(f"unknown mode {mode}")
    if max(before, after) >= size:
        raise ValueError(f"reflecting {max(before, after)} of {size} elements")
    return x.index_select(axis, (size - 1) - ((size - 1) - places.abs()).abs())
