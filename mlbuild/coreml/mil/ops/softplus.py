"""Softplus, softplus with parameters for each channel, and the exponential linear unit.

Source: coremltools MIL op docs, iOS15 and iOS17 activation.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


def _softplus(x: Tensor) -> Tensor:
    # max(x, 0) + log(1 + exp(-|x|)) neither overflows nor loses small results.
    return torch.relu(x) + torch.log1p(torch.exp(-x.abs()))


@operator("softplus")
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return _softplus(x)


@operator("softplus_parametric")
def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Alpha log(1 + exp(beta x)); x is [B, C, ...], alpha and beta are [C]."""
    shape = [1, -1] + [1] * (x.dim() - 2)
    return alpha.reshape(shape) * _softplus(beta.reshape(shape) * x)


@operator("elu")
def elu(x: Tensor, alpha: float) -> Tensor:
    """X where x > 0, alpha (exp(x) - 1) elsewhere."""
    return torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0.0)))
