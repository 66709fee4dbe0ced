"""Functions of one blob, element by element, and the units clampedReLU and gelu.

Source: Core ML specification, NeuralNetwork.proto: CeilLayerParams to AtanhLayerParams,
Exp2LayerParams, ErfLayerParams, GeluLayerParams, ClipLayerParams, ClampedReLULayerParams.
Rounding takes halves to the even neighbour, as IEEE 754 does.
"""

from __future__ import annotations

import torch
from torch.nn.functional import gelu as gaussian

from ...errors import ModelFileError
from ..checks import arity
from ..layer import Given, Run, layer

_FUNCTIONS: dict[str, Run] = {
    "ceil": torch.ceil,
    "floor": torch.floor,
    "sign": torch.sign,
    "round": torch.round,
    "exp2": torch.exp2,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "erf": torch.erf,
}


@layer(*_FUNCTIONS)
def unary_nd(given: Given) -> Run:
    """One function, named by the layer's type."""
    arity(given, 1)
    return _FUNCTIONS[given.message.WhichOneof("layer")]


@layer("clip")
def clip(given: Given) -> Run:
    """min(max(x, minVal), maxVal)."""
    arity(given, 1)
    low, high = given.params.minVal, given.params.maxVal
    return lambda x: torch.clamp(x, low, high)


@layer("clampedReLU")
def clamped_relu(given: Given) -> Run:
    """min(beta, x) for x >= 0, min(beta, alpha x) below."""
    arity(given, 1)
    alpha, beta = given.params.alpha, given.params.beta
    return lambda x: torch.clamp(torch.where(x >= 0, x, alpha * x), max=beta)


@layer("gelu")
def gelu(given: Given) -> Run:
    """The Gaussian error linear unit, exact or by one of two approximations."""
    arity(given, 1)
    params = given.params
    if params.mode == params.EXACT:
        return lambda x: gaussian(x)
    if params.mode == params.TANH_APPROXIMATION:
        return lambda x: gaussian(x, approximate="tanh")
    if params.mode == params.SIGMOID_APPROXIMATION:
        return lambda x: x * torch.sigmoid(1.702 * x)
    raise ModelFileError("an unknown mode", place=given.place, got=str(params.mode))
