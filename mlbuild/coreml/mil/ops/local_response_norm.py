"""Local response normalization.

Source: coremltools MIL op docs, iOS15 and iOS17 local_response_norm. The page calls an input of
rank 3 [n, C, D]; the figures in coremltools' own test of it (rank 3, sizes 2 and 3) show that
Core ML takes it as [C, H, W]: channels are the third dimension from the end.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("local_response_norm")
def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """X / (k + alpha / size * sum of squares of neighbouring channels) ^ beta."""
    if x.dim() == 3:
        return local_response_norm(x[None], size, alpha, beta, k)[0]
    return torch.nn.functional.local_response_norm(x, size, alpha, beta, k)
