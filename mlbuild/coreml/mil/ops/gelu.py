"""Gaussian error linear unit, exact or approximated.

Source: coremltools MIL op docs, iOS15 gelu.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("gelu")
def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """0.5 x (1 + erf(x / sqrt 2)), or its tanh or sigmoid approximation."""
    if mode == "TANH_APPROXIMATION":
        return torch.nn.functional.gelu(x, approximate="tanh")
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    if mode == "EXACT":
        return torch.nn.functional.gelu(x)
    raise ValueError(f"unknown mode {mode}")
