"""Grids of sampling points for resizing, shared by the resize operators.

Source: coremltools MIL op docs, iOS15 resize_bilinear (sampling modes), upsample_bilinear.
"""

from __future__ import annotations

import torch


def grid(size: float, count: int, mode: str) -> torch.Tensor:
    """Where ``count`` points lie on a line of ``size`` elements, not clamped: float32."""
    steps = torch.arange(count, dtype=torch.float32)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            middle = (size - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0
            return torch.full((1,), middle)
        return steps * ((size - 1) / (count - 1))
    if mode == "DEFAULT":
        return steps * ((size - size / count) / (count - 1) if count > 1 else 0.0)
    if mode == "OFFSET_CORNERS":
        delta = max(1, size - 1) / count
        return steps * delta + 0.5 * delta
    if mode == "UNALIGN_CORNERS":
        spacing = size / count
        return steps * spacing + (0.5 * spacing - 0.5)
    raise ValueError(f"unknown sampling mode {mode}")


def linear(x: torch.Tensor, axis: int, points: torch.Tensor) -> torch.Tensor:
    """Interpolate linearly between neighbours along an axis; points beyond the ends are clamped."""
    size = int(x.shape[axis])
    points = points.clamp(0, size - 1)
    left = points.floor().long()
    right = (left + 1).clamp(max=size - 1)
    shape = [1] * x.dim()
    shape[axis] = -1
    weight = (points - left).reshape(shape)
    low, high = x.index_select(axis, left), x.index_select(axis, right)
    return low + (high - low) * weight
