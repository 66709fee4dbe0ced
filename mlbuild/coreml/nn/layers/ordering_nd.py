"""Sorting along an axis. Of equal elements the one at the smaller index comes first.

Source: Core ML specification, NeuralNetwork.proto: TopKLayerParams, ArgMaxLayerParams,
ArgMinLayerParams, ArgSortLayerParams.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError
from ..checks import arity, axis_of, whole
from ..layer import Given, Run, layer


@layer("topK")
def top_k(given: Given) -> Run:
    """The K largest (or smallest) elements, in order, and their indices."""
    dynamic = arity(given, 1, 2, outputs=2) == 2
    params = given.params

    def run(x: torch.Tensor, *number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        axis = axis_of(given, params.axis, x.dim())
        count = whole(given, number[0], "K") if dynamic else params.K
        if not 0 < count <= x.shape[axis]:
            raise ExecutionError(
                "K does not fit the dimension",
                place=given.place,
                got=str(count),
                allowed=(f"1 to {x.shape[axis]}",),
            )
        values, places = torch.sort(x, dim=axis, descending=not params.useBottomK, stable=True)
        return values.narrow(axis, 0, count), places.narrow(axis, 0, count).float()

    return run


@layer("argMax", "argMin")
def arg_extremum(given: Given) -> Run:
    """The index of the largest or smallest element; the dimension stays unless it is removed."""
    arity(given, 1)
    params = given.params
    find = torch.argmax if given.message.WhichOneof("layer") == "argMax" else torch.argmin

    def run(x: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, params.axis, x.dim())
        remove = params.removeDim and x.dim() > 1
        found: torch.Tensor = find(x, axis, keepdim=not remove)
        return found.float()

    return run


@layer("argSort")
def arg_sort(given: Given) -> Run:
    """The indices that sort the elements."""
    arity(given, 1)
    params = given.params

    def run(x: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, params.axis, x.dim())
        return torch.argsort(x, dim=axis, descending=params.descending, stable=True).float()

    return run
