"""Rectifiers: piecewise linear activations.

Source: coremltools MIL op docs, iOS15 and iOS17 activation.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("relu", exact=True)
def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.relu(x)


@operator("relu6", exact=True)
def relu6(x: Tensor) -> Tensor:
    """min(max(x, 0), 6)."""
    return torch.clamp(x, 0.0, 6.0)


@operator("clamped_relu")
def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(beta, x) where x >= 0, min(beta, alpha x) elsewhere."""
    return torch.clamp(torch.nn.functional.leaky_relu(x, alpha), max=beta)


@operator("leaky_relu")
def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """X where x >= 0, alpha x elsewhere."""
    return torch.nn.functional.leaky_relu(x, alpha)


@operator("prelu")
def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """Leaky ReLU with a slope for each channel; x is [B, C, ...], alpha [C]."""
    slope = alpha.reshape([1, -1] + [1] * (x.dim() - 2))
    return torch.where(x > 0, x, x * slope)


@operator("thresholded_relu", exact=True)
def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """X where x >= alpha, 0 elsewhere."""
    return torch.where(x >= alpha, x, torch.zeros((), dtype=x.dtype))
