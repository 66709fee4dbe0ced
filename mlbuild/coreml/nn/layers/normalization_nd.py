"""Softmax along an axis, and layer normalization.

Source: Core ML specification, NeuralNetwork.proto: SoftmaxNDLayerParams,
LayerNormalizationLayerParams.
"""

from __future__ import annotations

import torch
from torch.nn.functional import layer_norm

from ...errors import ExecutionError
from ..checks import arity, axis_of
from ..layer import Given, Run, layer


@layer("softmaxND")
def softmax_nd(given: Given) -> Run:
    """exp(x), divided by its sum along an axis."""
    arity(given, 1)
    axis = given.params.axis
    return lambda x: torch.softmax(x, axis_of(given, axis, x.dim()))


@layer("layerNormalization")
def layer_normalization(given: Given) -> Run:
    """Over the last dimensions: gamma (x - mean) / sqrt(variance + eps) + beta."""
    arity(given, 1)
    params = given.params
    shape = tuple(params.normalizedShape)
    gamma, beta = given.weight("gamma", shape), given.weight("beta", shape)

    def run(x: torch.Tensor) -> torch.Tensor:
        if not shape or tuple(x.shape[-len(shape) :]) != shape:
            raise ExecutionError(
                "a blob whose last dimensions are not those to normalize",
                place=given.place,
                got=f"shape {list(x.shape)}",
                allowed=(f"[..., {', '.join(map(str, shape))}]",),
            )
        return layer_norm(x, shape, gamma, beta, params.eps)

    return run
