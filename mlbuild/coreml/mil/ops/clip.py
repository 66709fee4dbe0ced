"""Limits: clip and threshold.

Source: coremltools MIL op docs, iOS15 and iOS17 elementwise_unary (clip, threshold).
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("clip", exact=True)
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """X limited to [alpha, beta]."""
    return torch.clamp(x, alpha, beta)


@operator("threshold", exact=True)
def threshold(x: Tensor, alpha: float) -> Tensor:
    """max(x, alpha)."""
    return torch.clamp(x, min=int(alpha) if not x.is_floating_point() else alpha)
