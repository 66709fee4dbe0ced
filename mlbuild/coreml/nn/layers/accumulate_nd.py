"""Running sums, and vectors with one element marked.

Source: Core ML specification, NeuralNetwork.proto: CumSumLayerParams, OneHotLayerParams.
"""

from __future__ import annotations

import torch

from ..checks import arity, axis_of, checked_shape, whole
from ..layer import Given, Run, layer


@layer("cumSum")
def cum_sum(given: Given) -> Run:
    """Sums of all elements up to each along an axis, with or without the element itself."""
    dynamic = arity(given, 1, 2) == 2
    params = given.params

    def run(x: torch.Tensor, *axes: torch.Tensor) -> torch.Tensor:
        wanted = whole(given, axes[0], "the axis") if dynamic else params.axis
        axis = axis_of(given, wanted, x.dim())
        x = torch.flip(x, [axis]) if params.reverse else x
        if params.excludeFinalSum:
            x = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), x], axis)
            total = torch.cumsum(x.narrow(axis, 0, x.shape[axis] - 1), axis)
        else:
            total = torch.cumsum(x, axis)
        return torch.flip(total, [axis]) if params.reverse else total

    return run


@layer("oneHot")
def one_hot(given: Given) -> Run:
    """The onValue at the index, the offValue elsewhere, along a new axis.

    An index outside of the vector marks nothing.
    """
    dynamic = arity(given, 1, 2) == 2
    params = given.params

    def run(x: torch.Tensor, *size: torch.Tensor) -> torch.Tensor:
        count = whole(given, size[0], "the size") if dynamic else params.oneHotVectorSize
        checked_shape(given, [*x.shape, count])
        axis = axis_of(given, params.axis, x.dim() + 1)
        hot = x.detach().trunc()[..., None] == torch.arange(count, dtype=torch.float32)
        return torch.where(hot, params.onValue, params.offValue).movedim(-1, axis)

    return run
