"""Joining tensors: concat, stack.

Source: coremltools MIL op docs, iOS15 tensor_operation (concat, stack).
"""

from __future__ import annotations

import torch

from ..operator import Tensor, Tensors, operator


@operator("concat", exact=True)
def concat(values: Tensors, axis: int, interleave: bool = False) -> Tensor:
    """Join along an axis; interleaved, element i of each comes before element i + 1 of any."""
    # the converter joins scalars, such as the elements of a shape, as if they had one dimension
    values = [value.reshape(1) if value.dim() == 0 else value for value in values]
    if not interleave:
        return torch.cat(values, axis)
    axis %= values[0].dim()
    return torch.stack(values, axis + 1).flatten(axis, axis + 1)


@operator("stack", exact=True)
def stack(values: Tensors, axis: int) -> Tensor:
    """Join along a new axis."""
    return torch.stack(values, axis)
