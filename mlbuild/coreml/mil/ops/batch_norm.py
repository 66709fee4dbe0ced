"""Batch normalization with stored statistics.

Source: coremltools MIL op docs, iOS15 and iOS17 batch_norm.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("batch_norm")
def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Gamma (x - mean) / sqrt(variance + epsilon) + beta; x is [n, C, *D], the others [C]."""
    return torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, False, 0.0, epsilon)
