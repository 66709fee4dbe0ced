"""Making tensors: fill, fill_like, range_1d, one_hot, shape, tile.

Source: coremltools MIL op docs, iOS15 and iOS16 tensor_operation.
"""

from __future__ import annotations

import math

import torch

from ...limits import demand
from ..operator import Declared, Ints, Tensor, operator

_WIDEST = 8  # bytes of an element; sizes may depend on data, so every run asks


@operator("fill", exact=True)
def fill(shape: Ints, declared: Declared, value: float = 0.0) -> Tensor:
    """A tensor of a shape, filled with one value."""
    return _filled(shape, value, declared)


@operator("fill_like", since="iOS16", exact=True)
def fill_like(ref_tensor: Tensor, declared: Declared, value: float = 0.0) -> Tensor:
    """A tensor of the shape of another one, filled with one value."""
    return _filled(list(ref_tensor.shape), value, declared)


def _filled(shape: list[int], value: float, declared: Declared) -> Tensor:
    dtype = declared[0].dtype
    name = dtype.torch if dtype is not None else "float32"
    demand(math.prod(shape) * _WIDEST)
    return torch.full(shape, value, dtype=getattr(torch, name))


@operator("range_1d")
def range_1d(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    """Start, start + step, ... up to but without end."""
    first, last, width = start.item(), end.item(), step.item()
    count = max(math.ceil((last - first) / width), 0)
    demand(count * _WIDEST)
    return torch.arange(count, dtype=start.dtype) * step + start


@operator("one_hot", exact=True)
def one_hot(
    indices: Tensor,
    one_hot_vector_size: int,
    declared: Declared,
    axis: int = -1,
    on_value: float = 1,
    off_value: float = 0,
) -> Tensor:
    """Vectors with on_value at the index and off_value elsewhere, along a new axis.

    An index outside of the vector, a negative one too, marks nothing.
    """
    dtype = declared[0].dtype
    target = getattr(torch, dtype.torch if dtype is not None else "float32")
    demand(indices.numel() * max(one_hot_vector_size, 0) * _WIDEST)
    hot = indices[..., None] == torch.arange(one_hot_vector_size)
    values = torch.where(hot, on_value, off_value).to(target)
    return values.movedim(-1, axis)


@operator("shape", exact=True)
def shape(x: Tensor) -> Tensor:
    """The dimensions of x."""
    return torch.tensor(list(x.shape), dtype=torch.int32)


@operator("tile", exact=True)
def tile(x: Tensor, reps: Ints) -> Tensor:
    """X repeated along each dimension."""
    demand(x.numel() * math.prod(reps) * _WIDEST)
    return x.repeat(reps)
