"""Functions with a small constant against poles: inverse, log, reciprocal square root.

Source: coremltools MIL op docs, iOS15 and iOS17 elementwise_unary (inverse, log, rsqrt).
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("inverse")
def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    """1 / (x + epsilon)."""
    return torch.reciprocal(x + epsilon)


@operator("log")
def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """Natural logarithm of x + epsilon."""
    return torch.log(x + epsilon)


@operator("rsqrt")
def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """1 / sqrt(x + epsilon)."""
    return torch.reciprocal(torch.sqrt(x + epsilon))
