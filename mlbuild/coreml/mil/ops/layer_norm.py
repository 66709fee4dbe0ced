"""Layer normalization.

Source: coremltools MIL op docs, iOS15 and iOS17 layer_norm.
"""

from __future__ import annotations

import torch

from ..operator import Ints, Tensor, operator


@operator("layer_norm")
def layer_norm(
    x: Tensor,
    axes: Ints | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Gamma (x - mean) / sqrt(variance + epsilon) + beta over the axes (all by default).

    Gamma and beta have the shape of the normalized dimensions.
    """
    over = sorted(a % x.dim() for a in axes) if axes is not None else list(range(x.dim()))
    mean = torch.mean(x, over, True)
    centred = x - mean
    variance = torch.mean(centred * centred, over, True)
    result = centred / torch.sqrt(variance + epsilon)
    shape = [int(n) if axis in over else 1 for axis, n in enumerate(x.shape)]
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)
