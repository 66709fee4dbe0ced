"""Maximum and average pooling over depth, height and width.

Source: Core ML specification, NeuralNetwork.proto, Pooling3DLayerParams and
GlobalPooling3DLayerParams. SAME makes ceil(size / stride) windows, as for Convolution3D.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer
from ..windows import add_border, same_padding
from .convolution3d import custom_padding, triple

_MAX = 0
_VALID, _SAME = 1, 2


@layer("pooling3d")
def pooling3d(given: Given) -> Run:
    """Pool [batch, channels, depth, height, width]."""
    arity(given, 1)
    params = given.params
    kernel, strides = triple(params, "kernel"), triple(params, "stride")

    def run(x: torch.Tensor) -> torch.Tensor:
        pairs = [(0, 0)] * 3
        if params.paddingType == _SAME:
            pairs = same_padding(x.shape[2:], kernel, strides)
        elif params.paddingType != _VALID:
            pairs = custom_padding(params)
        if params.type == _MAX:  # padding never wins
            return functional.max_pool3d(add_border(x, pairs, float("-inf")), kernel, strides)
        mean = functional.avg_pool3d(add_border(x, pairs), kernel, strides)
        if not params.countExcludePadding:
            return mean
        counted = add_border(torch.ones(1, 1, *x.shape[2:]), pairs)
        return mean / functional.avg_pool3d(counted, kernel, strides)

    return run


@layer("globalPooling3d")
def global_pooling3d(given: Given) -> Run:
    """Pool depth, height and width to one value each."""
    arity(given, 1)
    if given.params.type == _MAX:
        return lambda x: x.amax((-3, -2, -1), keepdim=True)
    return lambda x: x.mean((-3, -2, -1), keepdim=True)
