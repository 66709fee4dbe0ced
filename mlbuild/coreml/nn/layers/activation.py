"""The thirteen activation functions of the activation layer.

Source: Core ML specification, NeuralNetwork.proto, ActivationParams and its members.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...errors import UnsupportedError
from ..checks import arity
from ..layer import Given, Run, layer

Function = Callable[[torch.Tensor], torch.Tensor]

# Each takes its own message; those with weights are built below.
_PLAIN: dict[str, Callable[[Any], Function]] = {
    "linear": lambda p: lambda x: p.alpha * x + p.beta,
    "ReLU": lambda p: torch.relu,
    "leakyReLU": lambda p: lambda x: torch.where(x >= 0, x, p.alpha * x),
    "thresholdedReLU": lambda p: lambda x: torch.where(x >= p.alpha, x, 0.0),
    "tanh": lambda p: torch.tanh,
    "scaledTanh": lambda p: lambda x: p.alpha * torch.tanh(p.beta * x),
    "sigmoid": lambda p: torch.sigmoid,
    "sigmoidHard": lambda p: lambda x: (p.alpha * x + p.beta).clamp(0, 1),
    "ELU": lambda p: lambda x: torch.where(x >= 0, x, p.alpha * torch.expm1(x.clamp(max=0))),
    "softsign": lambda p: lambda x: x / (1 + x.abs()),
    "softplus": lambda p: _softplus,
}


@layer("activation")
def activation(given: Given) -> Run:
    """One of ``ActivationParams``."""
    arity(given, 1)
    kind = given.params.WhichOneof("NonlinearityType")
    if kind == "PReLU":
        return _prelu(given)
    if kind == "parametricSoftplus":
        return _parametric_softplus(given)
    return plain_activation(given.params)


def plain_activation(message: Any) -> Function:
    """The function of an ActivationParams message without weights, as recurrent layers hold them.

    Raises:
        UnsupportedError: It has weights, or is of no known kind.
    """
    kind = message.WhichOneof("NonlinearityType")
    if kind not in _PLAIN:
        raise UnsupportedError(
            "no activation of this kind is possible here", got=str(kind), allowed=sorted(_PLAIN)
        )
    return _PLAIN[kind](getattr(message, kind))


def _softplus(x: torch.Tensor) -> torch.Tensor:
    return torch.logaddexp(x, torch.zeros(()))


def _prelu(given: Given) -> Run:
    alpha = _by_channel(given, "PReLU.alpha")
    return lambda x: torch.where(x >= 0, x, _beside(alpha, x) * x)


def _parametric_softplus(given: Given) -> Run:
    alpha = _by_channel(given, "parametricSoftplus.alpha")
    beta = _by_channel(given, "parametricSoftplus.beta")
    return lambda x: _beside(alpha, x) * _softplus(_beside(beta, x) * x)


def _by_channel(given: Given, path: str) -> torch.Tensor:
    """A weight of as many values as it holds: one, or one for each channel."""
    return given.weight(path, (-1,))


def _beside(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A weight [C] or [1] in a shape that meets the channels, axis -3."""
    return weight.reshape(-1, 1, 1) if x.dim() >= 3 else weight
