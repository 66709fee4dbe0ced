"""What makes a step of a training in torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

_MOMENTUM = 0.9  # of sgd, where a kind has no parameter for it


def make_optimizer(
    parameters: Iterable[nn.Parameter], params: Any, rate: float | None = None
) -> torch.optim.Optimizer:
    """The optimizer that a stage's parameters ask for.

    Args:
        parameters: that are trained.
        params: with ``optimizer`` (sgd, adam, adamw), ``learning_rate`` and ``weight_decay``.
        rate: where ``learning_rate`` is not set.
    """
    common = {"lr": params.learning_rate or rate, "weight_decay": params.weight_decay}
    if params.optimizer == "sgd":
        momentum = getattr(params, "momentum", _MOMENTUM)
        return torch.optim.SGD(parameters, momentum=momentum, **common)
    kind = torch.optim.AdamW if params.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, **common)
