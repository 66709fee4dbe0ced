"""The dense layer.

Source: Core ML specification, NeuralNetwork.proto, InnerProductLayerParams.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..checks import arity
from ..dynamic_quantization import as_int8
from ..layer import Given, Run, layer


@layer("innerProduct")
def inner_product(given: Given) -> Run:
    """Weights [C_out, C_in] times the last dimension, or times the last three of rank 4 and 5."""
    arity(given, 1)
    params = given.params
    inputs, outputs = int(params.inputChannels), int(params.outputChannels)
    weights = given.weight("weights", (outputs, inputs))
    bias = given.weight("bias", (outputs,)) if params.hasBias else None

    def run(x: torch.Tensor) -> torch.Tensor:
        if params.int8DynamicQuantize:
            x = as_int8(x)
        if x.dim() < 4:
            return functional.linear(x, weights, bias)
        return functional.linear(x.flatten(-3), weights, bias)[..., None, None]

    return run
