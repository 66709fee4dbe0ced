"""The gated recurrent unit.

Source: Core ML specification, NeuralNetwork.proto, GRULayerParams.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer
from ..recurrent import State, activations, clip, first_state, results, scan, vectors

_GATES = ("updateGate", "resetGate", "outputGate")


@layer("gru")
def gru(given: Given) -> Run:
    """The reset gate works on the state before the recursion matrix does.

    A second input is the first state, a second output the last.
    """
    arity(given, 1, 2, outputs=-1)
    params = given.params
    inputs, size = int(params.inputVectorSize), int(params.outputVectorSize)
    weights = [given.weight(f"{g}WeightMatrix", (size, inputs)) for g in _GATES]
    recursion = [given.weight(f"{g}RecursionMatrix", (size, size)) for g in _GATES]
    biased = params.hasBiasVectors
    biases = [given.weight(f"{g}BiasVector", (size,)) for g in _GATES] if biased else []
    gate, update = activations(params.activations, 2)

    def step(element: torch.Tensor, state: State) -> State:
        before = state[0]
        to_z, to_r, to_o = element.chunk(3, -1)
        z = gate(clip(to_z + functional.linear(before, recursion[0])))
        r = gate(clip(to_r + functional.linear(before, recursion[1])))
        o = update(clip(to_o + functional.linear(before * r, recursion[2])))
        return ((1 - z) * o + z * before,)

    def run(x: torch.Tensor, *states: torch.Tensor) -> State:
        bias = torch.cat(biases) if biases else None
        projected = functional.linear(vectors(x, inputs), torch.cat(weights), bias)
        state = (first_state(states, 0, x.shape[1], size),)
        sequence, last = scan(projected, state, step, params.reverseInput)
        return results(x, sequence, params.sequenceOutput, *last)[: len(given.message.output)]

    return run
