"""Instance normalization.

Source: coremltools MIL op docs, iOS15 and iOS17 instance_norm.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("instance_norm")
def instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    """Normalize each channel of each sample; x is [n, C, *D], gamma and beta [C]."""
    axes = list(range(2, x.dim()))
    mean = torch.mean(x, axes, True)
    centred = x - mean
    variance = torch.mean(centred * centred, axes, True)
    result = centred / torch.sqrt(variance + epsilon)
    shape = [1, -1] + [1] * (x.dim() - 2)
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)
