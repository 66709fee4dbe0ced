"""Picking elements by index.

Source: Core ML specification, NeuralNetwork.proto: GatherLayerParams, GatherNDLayerParams,
GatherAlongAxisLayerParams. Negative indices count from the end.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError
from ..checks import arity, at_least_one, axis_of, checked_shape
from ..layer import Given, Run, layer


def _places(given: Given, indices: torch.Tensor, size: int) -> torch.Tensor:
    """Indices counted from the front.

    Raises:
        ExecutionError: One is outside of 0..size - 1.
    """
    places = indices.detach().long()
    places = torch.where(places < 0, places + size, places)
    if places.numel() and not bool(((places >= 0) & (places < size)).all()):
        raise ExecutionError(
            "an index outside of the blob",
            place=given.place,
            got=f"{int(indices.min())} to {int(indices.max())}",
            allowed=(f"{-size} to {size - 1}",),
        )
    return places


@layer("gather")
def gather(given: Given) -> Run:
    """Slices at the indices along an axis; the indices' shape takes the place of the axis."""
    arity(given, 2)
    wanted = given.params.axis

    def run(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, wanted, x.dim())
        places = _places(given, indices, int(x.shape[axis]))
        shape = checked_shape(given, [*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])
        return at_least_one(x.index_select(axis, places.reshape(-1)).reshape(shape))

    return run


@layer("gatherND")
def gather_nd(given: Given) -> Run:
    """Slices at the places that the last dimension of the indices names."""
    arity(given, 2)

    def run(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        depth = int(indices.shape[-1])
        if depth > x.dim():
            raise ExecutionError(
                "indices with more coordinates than the blob has dimensions",
                place=given.place,
                got=f"{list(indices.shape)} for {list(x.shape)}",
            )
        checked_shape(given, [*indices.shape[:-1], *x.shape[depth:]])
        places = [_places(given, indices[..., i], int(x.shape[i])) for i in range(depth)]
        return at_least_one(x[tuple(places)])

    return run


@layer("gatherAlongAxis")
def gather_along_axis(given: Given) -> Run:
    """Along an axis, for each element the one that its index names."""
    arity(given, 2)
    wanted = given.params.axis

    def run(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, wanted, x.dim())
        others = [n for i, n in enumerate(x.shape) if i != axis]
        if indices.dim() != x.dim() or others != [
            n for i, n in enumerate(indices.shape) if i != axis
        ]:
            raise ExecutionError(
                "indices whose shape differs elsewhere than along the axis",
                place=given.place,
                got=f"{list(indices.shape)} for {list(x.shape)}, axis {axis}",
            )
        return torch.gather(x, axis, _places(given, indices, int(x.shape[axis])))

    return run
