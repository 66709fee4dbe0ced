"""Writing elements by index: scatter, scatter_along_axis, scatter_nd.

Source: coremltools MIL op docs, iOS15 and iOS17 scatter_gather. Indices outside of the data are
an error only with ``validate_indices``; otherwise what they would write is dropped. Negative
ones count from the end up to iOS16.
"""

from __future__ import annotations

import numpy as np
import torch

from ..operator import Tensor, operator

# numpy applies repeated indices one after the other, which torch leaves open.
_REDUCE = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


def _write(flat: Tensor, places: Tensor, updates: Tensor, mode: str) -> Tensor:
    """Write one-dimensional updates into one-dimensional data; later ones win."""
    result = flat.numpy().copy()
    if mode == "update":
        result[places.numpy()] = updates.numpy()
    elif mode == "div" and not flat.is_floating_point():
        np.floor_divide.at(result, places.numpy(), updates.numpy())
    elif mode in _REDUCE:
        _REDUCE[mode].at(result, places.numpy(), updates.numpy())
    else:
        raise ValueError(f"unknown mode {mode}")
    return torch.from_numpy(result)


def _wrapped(indices: Tensor, size: int, negative: bool) -> Tensor:
    places = indices.long()
    return torch.where(places < 0, places + size, places) if negative else places


def _apply(
    data: Tensor, linear: Tensor, inside: Tensor, updates: Tensor, mode: str, validate: bool
) -> Tensor:
    """Scatter to places in the flattened data."""
    if validate and not bool(inside.all()):
        raise ValueError("an index outside of the data")
    kept = inside.reshape(-1)
    flat = _write(
        data.reshape(-1),
        linear.reshape(-1)[kept],
        updates.to(data.dtype).reshape(-1)[kept],
        mode,
    )
    return flat.reshape(data.shape)


def _positions(data: Tensor, axis: int, places: Tensor) -> Tensor:
    """Flat positions of elements whose index along one axis is replaced."""
    strides = data.contiguous().stride()
    total = torch.zeros((), dtype=torch.long)
    for i in range(data.dim()):
        shape = [1] * data.dim()
        shape[i] = -1
        part = places if i == axis else torch.arange(int(places.shape[i])).reshape(shape)
        total = total + part * strides[i]
    return total


def _scatter(
    data: Tensor, indices: Tensor, updates: Tensor, axis: int, mode: str, validate: bool,
    negative: bool,
) -> Tensor:  # fmt: skip
    axis %= data.dim()
    size = int(data.shape[axis])
    shape = [1] * data.dim()
    shape[axis] = -1
    places = _wrapped(indices, size, negative).reshape(shape).expand(updates.shape)
    return _along(data, places, updates, axis, mode, validate)


def _along(
    data: Tensor, places: Tensor, updates: Tensor, axis: int, mode: str, validate: bool
) -> Tensor:
    axis %= data.dim()
    inside = (places >= 0) & (places < int(data.shape[axis]))
    return _apply(data, _positions(data, axis, places), inside, updates, mode, validate)


@operator("scatter")
def scatter(
    data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add"
) -> Tensor:
    """Write slices at indices along an axis."""
    return _scatter(data, indices, updates, axis, mode, False, True)


@operator("scatter", since="iOS17")
def scatter_ios17(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """Write slices; negative indices are out of bounds."""
    return _scatter(data, indices, updates, axis, mode, validate_indices, False)


@operator("scatter_along_axis")
def scatter_along_axis(
    data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add"
) -> Tensor:
    """Write each element at its own index along an axis."""
    places = _wrapped(indices, int(data.shape[axis]), True)
    return _along(data, places, updates, axis, mode, False)


@operator("scatter_along_axis", since="iOS17")
def scatter_along_axis_ios17(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """Write each element at its own index; negative indices are out of bounds."""
    return _along(data, indices.long(), updates, axis, mode, validate_indices)


def _nd(
    data: Tensor, indices: Tensor, updates: Tensor, mode: str, validate: bool, negative: bool
) -> Tensor:
    depth = int(indices.shape[-1])
    strides = data.contiguous().stride()
    start = torch.zeros(indices.shape[:-1], dtype=torch.long)
    inside = torch.ones(indices.shape[:-1], dtype=torch.bool)
    for i in range(depth):
        size = int(data.shape[i])
        places = _wrapped(indices[..., i], size, negative)
        inside &= (places >= 0) & (places < size)
        start = start + places * strides[i]
    rest = data.shape[depth:]
    count = 1
    for n in rest:
        count *= int(n)
    linear = start.reshape(-1, 1) + torch.arange(count)
    return _apply(data, linear, inside.reshape(-1, 1).expand(linear.shape), updates, mode, validate)


@operator("scatter_nd")
def scatter_nd(data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add") -> Tensor:
    """Write slices at places named by the last dimension of indices."""
    return _nd(data, indices, updates, mode, False, True)


@operator("scatter_nd", since="iOS17")
def scatter_nd_ios17(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: str = "add",
    validate_indices: bool = False,
) -> Tensor:
    """Write slices at places; negative indices are out of bounds."""
    return _nd(data, indices, updates, mode, validate_indices, False)
