"""Softmax.

Source: coremltools MIL op docs, iOS15 softmax.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("softmax")
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) / sum of exp(x) along the axis."""
    return torch.softmax(x, axis)
