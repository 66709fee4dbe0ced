"""Picking elements by index: gather, gather_along_axis, gather_nd.

Source: coremltools MIL op docs, iOS15, iOS16 and iOS17 scatter_gather. Up to iOS16 negative
indices count from the end; from iOS17 on they are out of bounds, for which
``validate_indices=False`` promises no particular result, only safe memory: here such indices
are brought to the nearest element.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


def _index(indices: Tensor, size: int, validate: bool, negative: bool) -> Tensor:
    places = indices.long()
    if negative:
        places = torch.where(places < 0, places + size, places)
    if validate and places.numel() and bool(((places < 0) | (places >= size)).any()):
        raise ValueError(f"an index outside of 0..{size - 1}")
    return places.clamp(0, max(size - 1, 0))


def _gather(
    x: Tensor, indices: Tensor, axis: int, batch_dims: int, validate: bool, negative: bool
) -> Tensor:
    axis %= x.dim()
    places = _index(indices, int(x.shape[axis]), validate, negative)
    if batch_dims == 0:
        taken = x.index_select(axis, places.reshape(-1))
        return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])
    batch = list(x.shape[:batch_dims])
    inner = indices.dim() - batch_dims
    count = 1
    for n in batch:
        count *= int(n)
    flat_x = x.reshape(count, *x.shape[batch_dims:])
    flat_places = places.reshape(count, -1)
    parts = [flat_x[i].index_select(axis - batch_dims, flat_places[i]) for i in range(count)]
    shape = [*x.shape[:axis], *indices.shape[batch_dims : batch_dims + inner], *x.shape[axis + 1 :]]
    return torch.stack(parts).reshape(shape)


@operator("gather", exact=True)
def gather(x: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    """Slices of x at the indices along an axis."""
    return _gather(x, indices, axis, 0, False, True)


@operator("gather", since="iOS16", exact=True)
def gather_ios16(x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0) -> Tensor:
    """Slices of x; the first batch_dims dimensions of x and indices go together."""
    return _gather(x, indices, axis, batch_dims, False, True)


@operator("gather", since="iOS17", exact=True)
def gather_ios17(
    x: Tensor,
    indices: Tensor,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Tensor:
    """Slices of x; negative indices are out of bounds."""
    return _gather(x, indices, axis, batch_dims, validate_indices, False)


@operator("gather_along_axis", exact=True)
def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    """x[..., indices[..., i, ...], ...] along an axis."""
    return _along(x, indices, axis, False, True)


@operator("gather_along_axis", since="iOS17", exact=True)
def gather_along_axis_ios17(
    x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False
) -> Tensor:
    """x[..., indices[..., i, ...], ...]; negative indices are out of bounds."""
    return _along(x, indices, axis, validate_indices, False)


def _along(x: Tensor, indices: Tensor, axis: int, validate: bool, negative: bool) -> Tensor:
    places = _index(indices, int(x.shape[axis]), validate, negative)
    return torch.gather(x, axis, places)


@operator("gather_nd", exact=True)
def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    """Slices of x at places named by the last dimension of indices."""
    return _nd(x, indices, 0, False, True)


@operator("gather_nd", since="iOS16", exact=True)
def gather_nd_ios16(x: Tensor, indices: Tensor, batch_dims: int = 0) -> Tensor:
    """Slices of x; the first batch_dims dimensions of x and indices go together."""
    return _nd(x, indices, batch_dims, False, True)


@operator("gather_nd", since="iOS17", exact=True)
def gather_nd_ios17(
    x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False
) -> Tensor:
    """Slices of x at places; negative indices are out of bounds."""
    return _nd(x, indices, batch_dims, validate_indices, False)


def _nd(x: Tensor, indices: Tensor, batch: int, validate: bool, negative: bool) -> Tensor:
    depth = int(indices.shape[-1])
    sizes = x.shape[batch : batch + depth]
    places = [
        _index(indices[..., i], int(size), validate, negative) for i, size in enumerate(sizes)
    ]
    for axis in range(batch):
        shape = [1] * (indices.dim() - 1)
        shape[axis] = int(x.shape[axis])
        places.insert(axis, torch.arange(int(x.shape[axis])).reshape(shape))
    return x[tuple(places)]
