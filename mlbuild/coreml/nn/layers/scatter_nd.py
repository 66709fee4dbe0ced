"""Writing elements by index.

Source: Core ML specification, NeuralNetwork.proto: ScatterLayerParams, ScatterNDLayerParams,
ScatterAlongAxisLayerParams, ScatterMode. Negative indices count from the end; what would be
written outside of the container is dropped. Where a place is named several times, updates
accumulate, and of plain ones the last stays.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError, ModelFileError
from ..checks import arity, axis_of
from ..layer import Given, Run, layer

_UPDATE, _ADD, _SUB, _MUL, _DIV, _MAX, _MIN = range(7)
_REDUCTIONS = {_MUL: "prod", _MAX: "amax", _MIN: "amin"}


def _mode(given: Given) -> int:
    mode = int(given.params.mode)
    if mode not in range(7):
        raise ModelFileError("an unknown mode", place=given.place, got=str(mode))
    return mode


def _write(
    flat: torch.Tensor, places: torch.Tensor, updates: torch.Tensor, mode: int
) -> torch.Tensor:
    """Write one-dimensional updates at places of one-dimensional data."""
    if mode in (_ADD, _SUB):
        return flat.index_add(0, places, updates, alpha=1 if mode == _ADD else -1)
    if mode == _DIV:
        return flat / torch.ones_like(flat).scatter_reduce(0, places, updates, "prod")
    if mode in _REDUCTIONS:
        return flat.scatter_reduce(0, places, updates, _REDUCTIONS[mode])
    if not len(updates):
        return flat
    # torch leaves open which of several updates stays: choose the last.
    order = torch.arange(len(updates))
    last = torch.full(flat.shape, -1).scatter_reduce(0, places, order, "amax")
    return torch.where(last < 0, flat, updates[last.clamp(min=0)])


def _put(
    x: torch.Tensor, places: torch.Tensor, inside: torch.Tensor, updates: torch.Tensor, mode: int
) -> torch.Tensor:
    """Write updates at places in the flattened container, but for those outside."""
    kept = inside.reshape(-1)
    flat = _write(x.reshape(-1), places.reshape(-1)[kept], updates.reshape(-1)[kept], mode)
    return flat.reshape(x.shape)


def _from_front(indices: torch.Tensor, size: int) -> torch.Tensor:
    places = indices.detach().long()
    return torch.where(places < 0, places + size, places)


def _along(x: torch.Tensor, axis: int, places: torch.Tensor) -> torch.Tensor:
    """Places in the flattened container of elements whose index along one axis is replaced."""
    strides, total = x.contiguous().stride(), torch.zeros((), dtype=torch.long)
    for i in range(x.dim()):
        shape = [1] * x.dim()
        shape[i] = -1
        part = places if i == axis else torch.arange(int(places.shape[i])).reshape(shape)
        total = total + part * strides[i]
    return total


def _misfit(given: Given, x: torch.Tensor, *others: torch.Tensor) -> ExecutionError:
    return ExecutionError(
        "container, indices and updates whose shapes do not fit",
        place=given.place,
        got=", ".join(str(list(blob.shape)) for blob in (x, *others)),
    )


@layer("scatter")
def scatter(given: Given) -> Run:
    """Write slices at the indices along an axis."""
    arity(given, 3)
    mode, wanted = _mode(given), given.params.axis

    def run(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, wanted, x.dim())
        if updates.shape != (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]):
            raise _misfit(given, x, indices, updates)
        updates = updates.reshape([*x.shape[:axis], indices.numel(), *x.shape[axis + 1 :]])
        shape = [1] * x.dim()
        shape[axis] = -1
        size = int(x.shape[axis])
        places = _from_front(indices, size).reshape(shape).expand(updates.shape)
        return _put(x, _along(x, axis, places), (places >= 0) & (places < size), updates, mode)

    return run


@layer("scatterAlongAxis")
def scatter_along_axis(given: Given) -> Run:
    """Along an axis, write each element at its own index."""
    arity(given, 3)
    mode, wanted = _mode(given), given.params.axis

    def run(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, wanted, x.dim())
        same = [s for i, s in enumerate(x.shape) if i != axis]
        if indices.shape != updates.shape or indices.dim() != x.dim() or same != [
            s for i, s in enumerate(indices.shape) if i != axis
        ]:  # fmt: skip
            raise _misfit(given, x, indices, updates)
        size = int(x.shape[axis])
        places = _from_front(indices, size)
        return _put(x, _along(x, axis, places), (places >= 0) & (places < size), updates, mode)

    return run


@layer("scatterND")
def scatter_nd(given: Given) -> Run:
    """Write slices at the places that the last dimension of the indices names."""
    arity(given, 3)
    mode = _mode(given)

    def run(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor) -> torch.Tensor:
        depth = int(indices.shape[-1])
        if depth > x.dim() or updates.shape != (*indices.shape[:-1], *x.shape[depth:]):
            raise _misfit(given, x, indices, updates)
        strides = x.contiguous().stride()
        start = torch.zeros(indices.shape[:-1], dtype=torch.long)
        inside = torch.ones(indices.shape[:-1], dtype=torch.bool)
        for i in range(depth):
            places = _from_front(indices[..., i], int(x.shape[i]))
            inside &= (places >= 0) & (places < x.shape[i])
            start = start + places * strides[i]
        count = x[(0,) * depth].numel() if x.numel() else 0
        linear = start.reshape(-1, 1) + torch.arange(count)
        return _put(x, linear, inside.reshape(-1, 1).expand(linear.shape), updates, mode)

    return run
