"""Reordering dimensions and elements: transpose, reverse, reverse_sequence.

Source: coremltools MIL op docs, iOS15 and iOS17 tensor_transformation.
"""

from __future__ import annotations

import torch

from ..operator import Ints, Tensor, operator


@operator("transpose", exact=True)
def transpose(x: Tensor, perm: Ints) -> Tensor:
    """Dimension i of the result is dimension perm[i] of x."""
    return x.permute(perm)


@operator("reverse", exact=True)
def reverse(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Elements in the opposite order along the axes (all by default)."""
    return torch.flip(x, axes if axes is not None else list(range(x.dim())))


@operator("reverse_sequence", exact=True)
def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """The first lengths[b] elements along seq_axis in the opposite order, for each b."""
    size = int(x.shape[seq_axis])
    steps = torch.arange(size)
    long = lengths.long()[:, None]
    order = torch.where(steps < long, long - 1 - steps, steps)  # [batch, size]
    shape = [1] * x.dim()
    shape[batch_axis], shape[seq_axis] = int(order.shape[0]), size
    arranged = order if batch_axis % x.dim() < seq_axis % x.dim() else order.mT
    return torch.gather(x, seq_axis, arranged.reshape(shape).expand(x.shape))
