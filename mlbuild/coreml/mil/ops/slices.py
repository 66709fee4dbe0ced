"""Cutting out and writing parts of a tensor.

Where ``squeeze_mask`` holds, one element is taken and its dimension dropped: that at ``begin``,
which ``begin_mask`` sets to 0.

Source: coremltools MIL op docs, iOS15 and iOS17 tensor_transformation (slice_by_index,
slice_by_size), iOS18 tensor_transformation (slice_update).
"""

from __future__ import annotations

import torch

from ..operator import Bools, Ints, Tensor, operator


def _indices(
    shape: list[int],
    begin: list[int],
    end: list[int],
    stride: list[int] | None,
    begin_mask: list[bool] | None,
    end_mask: list[bool] | None,
    squeeze_mask: list[bool] | None,
) -> tuple[list[range], list[int]]:
    """The positions that a slice takes in each dimension, and the dimensions to drop."""
    rank = len(shape)
    begin_mask, end_mask = begin_mask or [False] * rank, end_mask or [False] * rank
    squeeze_mask, stride = squeeze_mask or [False] * rank, stride or [1] * rank
    ranges, dropped = [], []
    for axis, size in enumerate(shape):
        if squeeze_mask[axis]:
            found = range(size)[None if begin_mask[axis] else begin[axis] :]
            if not found:
                raise ValueError(f"no element {begin[axis]} in a dimension of {size}")
            ranges.append(found[:1])
            dropped.append(axis)
            continue
        first = None if begin_mask[axis] else begin[axis]
        last = None if end_mask[axis] else end[axis]
        ranges.append(range(size)[first : last : stride[axis]])
    return ranges, dropped


def _take(x: Tensor, ranges: list[range]) -> Tensor:
    for axis, positions in enumerate(ranges):
        if positions == range(int(x.shape[axis])):
            continue
        if positions.step > 0 or len(positions) < 2:
            start = positions.start if positions else 0
            length = (len(positions) - 1) * positions.step + 1 if positions else 0
            x = x.narrow(axis, start, length)
            if positions.step > 1:
                x = x[(slice(None),) * axis + (slice(None, None, positions.step),)]
        else:
            x = x.index_select(axis, torch.tensor(list(positions)))
    return x


@operator("slice_by_index", exact=True)
def slice_by_index(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Bools | None = None,
    end_mask: Bools | None = None,
    squeeze_mask: Bools | None = None,
) -> Tensor:
    """x[begin:end:stride] in each dimension, as Python slices."""
    shape = [int(n) for n in x.shape]
    ranges, dropped = _indices(shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    x = _take(x, ranges)
    return x.squeeze(dropped) if dropped else x


@operator("slice_by_size", exact=True)
def slice_by_size(x: Tensor, begin: Ints, size: Ints) -> Tensor:
    """A block from begin on; a size of -1 reaches to the end."""
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        first %= max(int(x.shape[axis]), 1)
        x = x.narrow(axis, first, int(x.shape[axis]) - first if count == -1 else count)
    return x


@operator("slice_update", since="iOS18", exact=True)
def slice_update(
    x: Tensor,
    update: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Bools | None = None,
    end_mask: Bools | None = None,
    squeeze_mask: Bools | None = None,
) -> Tensor:
    """X with x[begin:end:stride] replaced."""
    shape = [int(n) for n in x.shape]
    ranges, dropped = _indices(shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    for axis in dropped:
        update = update.unsqueeze(axis)
    result = x.clone()
    part = result
    for axis, positions in enumerate(ranges):
        if positions.step < 0:  # views go forwards
            positions = positions[::-1]
            update = update.flip(axis) if update.shape[axis] > 1 else update
        part = part[
            (slice(None),) * axis + (slice(positions.start, positions.stop, positions.step),)
        ]
    part.copy_(update)
    return result
