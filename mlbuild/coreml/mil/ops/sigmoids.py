"""Sigmoid, its relatives, and the linear activation.

Source: coremltools MIL op docs, iOS15 and iOS17 activation.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("sigmoid")
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


@operator("sigmoid_hard")
def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(max(alpha x + beta, 0), 1)."""
    return torch.clamp(x * alpha + beta, 0.0, 1.0)


@operator("silu")
def silu(x: Tensor) -> Tensor:
    """X sigmoid(x)."""
    return torch.nn.functional.silu(x)


@operator("softsign")
def softsign(x: Tensor) -> Tensor:
    """X / (1 + |x|)."""
    return x / (1 + x.abs())


@operator("scaled_tanh")
def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Alpha tanh(beta x)."""
    return torch.tanh(x * beta) * alpha


@operator("linear_activation")
def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """Alpha x + beta."""
    return x * alpha + beta
