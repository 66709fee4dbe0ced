"""L2 normalization.

Source: coremltools MIL op docs, iOS15 and iOS17 l2_norm.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("l2_norm")
def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """X / sqrt(sum of squares + epsilon) over the last three dimensions."""
    total = torch.sum(x * x, [-3, -2, -1], True)
    return x / torch.sqrt(total + epsilon)
