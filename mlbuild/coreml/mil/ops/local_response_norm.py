"""Local response normalization over [n, C, *D].

Source: coremltools MIL op docs, iOS15 and iOS17 local_response_norm. One of coremltools' tests
holds figures in which an input of rank 3 is [C, H, W], as it was for NeuralNetworks; its page, its
comparison with torch and the torch front end, which hands [n, C, D] over as it is, say otherwise.
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
