"""Reductions over channels, height and width.

Source: Core ML specification, NeuralNetwork.proto, ReduceLayerParams.
"""

from __future__ import annotations

import torch

from ..checks import arity
from ..layer import Given, Run, layer

_AXES = ((-3, -2, -1), (-2, -1), (-3,), (-2,), (-1,))  # CHW, HW, C, H, W
_SUM, _AVG, _PROD, _LOGSUM, _SUMSQUARE, _L1, _L2, _MAX, _MIN, _ARGMAX = range(10)


@layer("reduce")
def reduce(given: Given) -> Run:
    """One of ten reductions; reduced dimensions stay with one element."""
    arity(given, 1)
    axes = _AXES[given.params.axis]
    epsilon = given.params.epsilon or 1e-6
    run: Run = {
        _SUM: lambda x: x.sum(axes, keepdim=True),
        _AVG: lambda x: x.mean(axes, keepdim=True),
        _PROD: lambda x: _product(x, axes),
        _LOGSUM: lambda x: torch.log(x + epsilon).sum(axes, keepdim=True),
        _SUMSQUARE: lambda x: x.square().sum(axes, keepdim=True),
        _L1: lambda x: x.abs().sum(axes, keepdim=True),
        _L2: lambda x: x.square().sum(axes, keepdim=True).sqrt(),
        _MAX: lambda x: x.amax(axes, keepdim=True),
        _MIN: lambda x: x.amin(axes, keepdim=True),
        _ARGMAX: lambda x: _argmax(x, axes),
    }[given.params.mode]
    return run


def _product(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    for axis in axes:
        x = x.prod(axis, keepdim=True)
    return x


def _argmax(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    if len(axes) != 1:
        raise ValueError("the place of the maximum is defined along one axis, C, H or W")
    return x.argmax(axes[0], keepdim=True).to(x.dtype)
