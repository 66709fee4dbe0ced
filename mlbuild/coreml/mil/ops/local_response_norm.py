"""Local response normalization.

Source: coremltools MIL op docs, iOS15 and iOS17 local_response_norm.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("local_response_norm")
def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """X / (k + alpha / size * sum of squares of neighbouring channels) ^ beta."""
    return torch.nn.functional.local_response_norm(x, size, alpha, beta, k)
