"""Sums, products, extrema and norms along axes.

Source: Core ML specification, NeuralNetwork.proto: ReduceL1LayerParams to
ReduceLogSumExpLayerParams.
"""

from __future__ import annotations

import torch

from ...errors import ModelFileError
from ..checks import arity, at_least_one, axes_of
from ..layer import Given, Run, layer


def _product(x: torch.Tensor, axes: list[int], keep: bool) -> torch.Tensor:
    for axis in sorted(axes, reverse=True):  # torch takes one axis at a time
        x = torch.prod(x, axis, keepdim=keep)
    return x


_FUNCTIONS: dict[str, Run] = {
    "reduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "reduceL2": lambda x, axes, keep: torch.linalg.vector_norm(x, dim=axes, keepdim=keep),
    "reduceMax": lambda x, axes, keep: torch.amax(x, axes, keepdim=keep),
    "reduceMin": lambda x, axes, keep: torch.amin(x, axes, keepdim=keep),
    "reduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "reduceProd": _product,
    "reduceMean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "reduceLogSum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "reduceSumSquare": lambda x, axes, keep: x.square().sum(axes, keepdim=keep),
    "reduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
}


@layer(*_FUNCTIONS)
def reduce_nd(given: Given) -> Run:
    """One reduction, named by the layer's type, along some or all axes."""
    arity(given, 1)
    params = given.params
    reduce = _FUNCTIONS[given.message.WhichOneof("layer")]
    axes, every, keep = list(params.axes), params.reduceAll, params.keepDims
    if not axes and not every:
        raise ModelFileError(
            "a reduction without axes", place=given.place, hint="reduceAll reduces along all axes"
        )

    def run(x: torch.Tensor) -> torch.Tensor:
        along = list(range(x.dim())) if every else axes_of(given, axes, x.dim())
        return at_least_one(reduce(x, along, keep))

    return run
