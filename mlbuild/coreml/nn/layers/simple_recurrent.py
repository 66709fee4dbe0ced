"""The simple recurrent layer.

Source: Core ML specification, NeuralNetwork.proto, SimpleRecurrentLayerParams.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer
from ..recurrent import State, activation, clip, first_state, results, scan, vectors


@layer("simpleRecurrent")
def simple_recurrent(given: Given) -> Run:
    """y_t = f(clip(W x_t + R y_(t-1) + b)); a second input is y_0, a second output the last y."""
    arity(given, 1, 2, outputs=-1)
    params = given.params
    inputs, size = int(params.inputVectorSize), int(params.outputVectorSize)
    weights = given.weight("weightMatrix", (size, inputs))
    recursion = given.weight("recursionMatrix", (size, size))
    bias = given.weight("biasVector", (size,)) if params.hasBiasVector else None
    function = activation(params.activation)

    def step(element: torch.Tensor, state: State) -> State:
        return (function(clip(element + functional.linear(state[0], recursion))),)

    def run(x: torch.Tensor, *states: torch.Tensor) -> State:
        projected = functional.linear(vectors(x, inputs), weights, bias)
        state = (first_state(states, 0, x.shape[1], size),)
        sequence, last = scan(projected, state, step, params.reverseInput)
        return results(x, sequence, params.sequenceOutput, *last)[: len(given.message.output)]

    return run
