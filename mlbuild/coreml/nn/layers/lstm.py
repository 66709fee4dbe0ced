"""Long short-term memory, in one direction and in both.

Source: Core ML specification, NeuralNetwork.proto, LSTMParams, LSTMWeightParams,
UniDirectionalLSTMLayerParams and BiDirectionalLSTMLayerParams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer
from ..recurrent import State, activations, clip, first_state, results, scan, vectors

_GATES = ("inputGate", "forgetGate", "blockInput", "outputGate")
_PEEPHOLES = ("inputGate", "forgetGate", "outputGate")

# Takes a sequence [S, B, C], first states, whether to go backward; gives the outputs in the order
# in which they were made, the last output and the last cell state.
Cell = Callable[
    [torch.Tensor, Sequence[torch.Tensor], bool], tuple[torch.Tensor, torch.Tensor, torch.Tensor]
]


@layer("uniDirectionalLSTM")
def lstm(given: Given) -> Run:
    """Inputs x, y_0, c_0; outputs y, the last y, the last c. States may be left out."""
    arity(given, 1, 3, outputs=-1)
    params = given.params
    cell = _cell(given, "weightParams", params.activations)

    def run(x: torch.Tensor, *states: torch.Tensor) -> State:
        sequence, last, memory = cell(
            vectors(x, int(params.inputVectorSize)), states, params.reverseInput
        )
        whole = params.params.sequenceOutput
        return results(x, sequence, whole, last, memory)[: len(given.message.output)]

    return run


@layer("biDirectionalLSTM")
def bidirectional_lstm(given: Given) -> Run:
    """Outputs of both directions side by side, each at the element that it belongs to.

    Inputs x, then y_0 and c_0 of the one and of the other direction; outputs likewise.
    """
    arity(given, 1, 5, outputs=-1)
    params = given.params
    forward = _cell(given, "weightParams.0", params.activationsForwardLSTM)
    backward = _cell(given, "weightParams.1", params.activationsBackwardLSTM)

    def run(x: torch.Tensor, *states: torch.Tensor) -> State:
        elements = vectors(x, int(params.inputVectorSize))
        ahead, last, memory = forward(elements, states[:2], False)
        back, last_back, memory_back = backward(elements, states[2:], True)
        whole = params.params.sequenceOutput
        both = torch.cat([ahead, back.flip(0)], -1)
        output = both if whole else torch.cat([last, last_back], -1)[None]
        made = results(x, output, True, last, memory, last_back, memory_back)
        return made[: len(given.message.output)]

    return run


def _cell(given: Given, path: str, functions: Sequence[Any]) -> Cell:
    params, inputs = given.params.params, int(given.params.inputVectorSize)
    size = int(given.params.outputVectorSize)
    weights = [given.weight(f"{path}.{g}WeightMatrix", (size, inputs)) for g in _GATES]
    recursion = [given.weight(f"{path}.{g}RecursionMatrix", (size, size)) for g in _GATES]
    biased = params.hasBiasVectors
    biases = [given.weight(f"{path}.{g}BiasVector", (size,)) for g in _GATES] if biased else []
    step = _step(given, path, functions)

    def run(x: torch.Tensor, states: Sequence[torch.Tensor], reverse: bool) -> Any:
        bias = torch.cat(biases) if biases else torch.zeros(4 * size)
        if params.forgetBias:
            bias = bias + torch.cat([torch.full((size,), float(n == 1)) for n in range(4)])
        projected = functional.linear(x, torch.cat(weights), bias)
        again = torch.cat(recursion)
        first = tuple(first_state(states, n, x.shape[1], size) for n in range(2))
        sequence, last = scan(
            projected, first, lambda e, s: step(e + functional.linear(s[0], again), s), reverse
        )
        return sequence, *last

    return run


def _step(
    given: Given, path: str, functions: Sequence[Any]
) -> Callable[[torch.Tensor, State], State]:
    """From the sums before the gates and (y, c) to the next (y, c)."""
    params, size = given.params.params, int(given.params.outputVectorSize)
    gate, block, output = activations(functions, 3)
    limit = params.cellClipThreshold or 50.0
    peepholes = (
        [given.weight(f"{path}.{g}PeepholeVector", (size,)) for g in _PEEPHOLES]
        if params.hasPeepholeVectors
        else [torch.zeros(size)] * 3
    )

    def step(sums: torch.Tensor, state: State) -> State:
        before = state[1]
        to_i, to_f, to_z, to_o = sums.chunk(4, -1)
        i = gate(clip(to_i + peepholes[0] * before))
        z = block(clip(to_z))
        if params.coupledInputAndForgetGate:
            kept = before * (1 - i)
        else:
            kept = before * gate(clip(to_f + peepholes[1] * before))
        memory = (kept + i * z).clamp(-limit, limit)
        o = gate(clip(to_o + peepholes[2] * memory))
        return output(memory) * o, memory

    return step
