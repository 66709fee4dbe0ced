"""Layers that hold a constant in the shape of [C, H, W]: loadConstant, scale, bias.

Source: Core ML specification, NeuralNetwork.proto, LoadConstantLayerParams, ScaleLayerParams and
BiasLayerParams.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..checks import arity
from ..layer import Given, Run, layer


@layer("loadConstant")
def load_constant(given: Given) -> Run:
    """A constant [1, 1, C, H, W]."""
    arity(given, 0)
    data = given.weight("data", _shape(given.params.shape))
    return lambda: data.reshape(1, 1, *data.shape)


@layer("scale")
def scale(given: Given) -> Run:
    """Multiply by a constant, then add one where there is one."""
    arity(given, 1)
    params = given.params
    factor = given.weight("scale", _shape(params.shapeScale))
    bias_shape = _shape(params.shapeBias)
    bias = given.weight("bias", bias_shape) if params.hasBias else None

    def run(x: torch.Tensor) -> torch.Tensor:
        made = x * _beside(factor)
        return made if bias is None else made + _beside(bias)

    return run


@layer("bias")
def bias(given: Given) -> Run:
    """Add a constant."""
    arity(given, 1)
    values = given.weight("bias", _shape(given.params.shape))
    return lambda x: x + _beside(values)


def _shape(sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(n) for n in sizes) or (1,)


def _beside(values: torch.Tensor) -> torch.Tensor:
    """[1] or [C] in a shape that meets the last three dimensions; [C, H, W] as it is."""
    if values.numel() == 1:
        return values.reshape(())
    return values.reshape(-1, 1, 1) if values.dim() == 1 else values
