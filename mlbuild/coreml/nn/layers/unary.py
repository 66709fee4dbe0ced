"""Functions of one value, after a shift and scale.

Source: Core ML specification, NeuralNetwork.proto, UnaryFunctionLayerParams. LOG takes the
logarithm of x + epsilon where an epsilon is set, which the specification does not say but
coremltools' converter counts on.
"""

from __future__ import annotations

import torch

from ..checks import arity
from ..layer import Given, Run, layer

_SQRT, _RSQRT, _INVERSE, _POWER, _EXP, _LOG, _ABS, _THRESHOLD = range(8)


@layer("unary")
def unary(given: Given) -> Run:
    """One of the eight functions of scale x + shift."""
    arity(given, 1)
    params = given.params
    scale, shift, alpha = params.scale or 1.0, params.shift, params.alpha
    epsilon = params.epsilon or 1e-6
    within_log = params.epsilon
    function: Run = {
        _SQRT: torch.sqrt,
        _RSQRT: lambda x: torch.rsqrt(x + epsilon),
        _INVERSE: lambda x: torch.reciprocal(x + epsilon),
        _POWER: lambda x: torch.pow(x, alpha),
        _EXP: torch.exp,
        _LOG: lambda x: torch.log(x + within_log),
        _ABS: torch.abs,
        _THRESHOLD: lambda x: torch.clamp(x, min=alpha),
    }[params.type]
    if scale == 1.0 and shift == 0.0:
        return function
    return lambda x: function(x * scale + shift)
