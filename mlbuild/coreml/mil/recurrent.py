"""Steps and activations shared by the recurrent operators.

Source: coremltools MIL op docs, iOS15, iOS17 and iOS18 recurrent. ``scaled_tanh`` takes no
parameters there and is tanh; ``hard_sigmoid`` is min(max(0.2 x + 0.5, 0), 1). ``direction``
"reverse" reads the sequence from its end, and its output stays in the order of processing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Activation = Callable[[torch.Tensor], torch.Tensor]
Step = Callable[[torch.Tensor], torch.Tensor]


def _hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


def _linear(x: torch.Tensor) -> torch.Tensor:
    return x


_ACTIVATIONS: dict[str, Activation] = {
    "hard_sigmoid": _hard_sigmoid,
    "linear": _linear,
    "relu": torch.relu,
    "scaled_tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sigmoid_hard": _hard_sigmoid,  # rnn's spelling
    "tanh": torch.tanh,
}


def activation(name: str) -> Activation:
    """An activation by the name that recurrent operators give it."""
    if name.lower() not in _ACTIVATIONS:
        raise ValueError(f"unknown activation {name}; known: {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name.lower()]


def in_order(x: torch.Tensor, direction: str) -> torch.Tensor:
    """A sequence in the order in which it is processed; the first dimension is time."""
    if direction == "reverse":
        return torch.flip(x, [0])
    if direction != "forward":
        raise ValueError(f"unknown direction {direction}; known: forward, reverse")
    return x


def initial(state: torch.Tensor, batch: int) -> torch.Tensor:
    """The state of each sequence of a batch.

    coremltools converts torch's packed sequences with a state of as many rows as the longest
    sequence has steps. Core ML, on which its tests of them pass, takes the rows that it needs.
    """
    if state.shape[0] < batch:
        raise ValueError(f"an initial state of {state.shape[0]} rows for a batch of {batch}")
    return state[:batch]


def run(inputs: torch.Tensor, step: Step, last: torch.Tensor, whole: bool) -> torch.Tensor:
    """Take one step for each element of a sequence.

    Args:
        inputs: [s, b, n], in the order of processing.
        step: Gives the hidden state behind a step, [b, H].
        last: The hidden state before the first step, which is also that of an empty sequence.
        whole: Whether the states behind all steps are wanted, not only the last one.

    Returns:
        [s, b, H] or [1, b, H].
    """
    states = []
    for given in inputs.unbind(0):
        last = step(given)
        if whole:
            states.append(last)
    if not whole:
        return last[None]
    return torch.stack(states) if states else last.new_empty((0, *last.shape))
