"""What the recurrent layers share: sequences, states and activations.

Source: Core ML specification, NeuralNetwork.proto, SimpleRecurrentLayerParams, GRULayerParams,
LSTMParams. A reversed layer gives its sequence in the order in which it made it: the last element
of the input comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..errors import UnsupportedError

Activation = Callable[[torch.Tensor], torch.Tensor]
State = tuple[torch.Tensor, ...]
Step = Callable[[torch.Tensor, State], State]

_ACTIVATIONS: dict[str, Callable[[Any], Activation]] = {
    "linear": lambda p: lambda x: x,
    "sigmoid": lambda p: torch.sigmoid,
    "tanh": lambda p: torch.tanh,
    "ReLU": lambda p: torch.relu,
    "scaledTanh": lambda p: lambda x: (p.alpha or 1.0) * torch.tanh((p.beta or 1.0) * x),
    "sigmoidHard": lambda p: lambda x: ((p.alpha or 0.2) * x + (p.beta or 0.5)).clamp(0, 1),
}


def activation(message: Any) -> Activation:
    """The function of an ActivationParams message of a recurrent layer.

    coremltools leaves their parameters out. A hard sigmoid then has the only ones that the
    specification allows, 0.2 and 0.5; a scaled tanh is taken as tanh, as coremltools' tests of
    recurrent layers expect.
    """
    kind = message.WhichOneof("NonlinearityType")
    if kind not in _ACTIVATIONS:
        raise UnsupportedError(
            "recurrent layers have no such activation", got=str(kind), allowed=sorted(_ACTIVATIONS)
        )
    return _ACTIVATIONS[kind](getattr(message, kind))


def activations(messages: Sequence[Any], count: int) -> list[Activation]:
    """The functions of a layer that has several."""
    if len(messages) != count:
        raise ValueError(f"{count} activations are needed, not {len(messages)}")
    return [activation(message) for message in messages]


def clip(x: torch.Tensor) -> torch.Tensor:
    """What every gate does before its activation."""
    return x.clamp(-50.0, 50.0)


def vectors(x: torch.Tensor, size: int) -> torch.Tensor:
    """A blob [S, B, C, 1, 1] as [S, B, C]."""
    if x.dim() < 3 or x.shape[2:].numel() != size:
        raise ValueError(f"a sequence [S, B, {size}, 1, 1] is needed, not {list(x.shape)}")
    return x.reshape(x.shape[0], x.shape[1], size)


def first_state(given: Sequence[torch.Tensor], number: int, batch: int, size: int) -> torch.Tensor:
    """A state [B, size]: an input of the layer, or zeros.

    Of a state with more rows than the batch the first are taken: coremltools converts packed
    sequences of torch so.
    """
    if number < len(given):
        return given[number].reshape(-1, size)[:batch].expand(batch, size)
    return torch.zeros(batch, size)


def scan(
    projected: torch.Tensor, state: State, step: Step, reverse: bool
) -> tuple[torch.Tensor, State]:
    """Run over a sequence [S, B, N]; the first element of the state is what each step gives.

    Returns:
        All outputs, [S, B, size], in the order in which they were made, and the last state.
    """
    made = []
    for element in projected.flip(0) if reverse else projected:
        state = step(element, state)
        made.append(state[0])
    return torch.stack(made) if made else projected.new_zeros(0, *state[0].shape), state


def results(
    like: torch.Tensor, sequence: torch.Tensor, whole: bool, *states: torch.Tensor
) -> State:
    """What a layer gives, in the rank of its input: the sequence or its end, then its states."""
    tail = (1,) * (like.dim() - 3)
    output = sequence if whole else states[0][None]
    given = (output, *(state[None] for state in states))
    return tuple(blob.reshape(*blob.shape, *tail) for blob in given)
