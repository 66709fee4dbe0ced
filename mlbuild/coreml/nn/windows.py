"""Padding of the sliding windows of convolution and pooling layers.

Source: Core ML specification, NeuralNetwork.proto, ValidPadding, SamePadding and BorderAmounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from ..limits import demand

Pairs = list[tuple[int, int]]


def pair(values: Sequence[int], default: int) -> list[int]:
    """A field [H, W] that may be left out."""
    return [int(n) for n in values] if len(values) else [default, default]


def borders(message: Any) -> Pairs:
    """BorderAmounts as (before, after) for H and W; zeros where it is left out."""
    found = [(int(b.startEdgeSize), int(b.endEdgeSize)) for b in message.borderAmounts]
    return found or [(0, 0), (0, 0)]


def same_padding(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], top_heavy: bool = False
) -> Pairs:
    """What makes ceil(size / stride) windows; kernel sizes are those after dilation."""
    totals = (
        max(0, (-(-size // stride) - 1) * stride + k - size)
        for size, k, stride in zip(sizes, kernel, strides, strict=True)
    )
    return [halves(total, top_heavy) for total in totals]


def halves(total: int, top_heavy: bool) -> tuple[int, int]:
    """A sum split before and after; an odd one goes behind, or in front."""
    less, more = total // 2, total - total // 2
    return (more, less) if top_heavy else (less, more)


def add_border(x: torch.Tensor, pairs: Pairs, value: float = 0.0) -> torch.Tensor:
    """Pad the last dimensions; negative amounts cut."""
    if not any(n for both in pairs for n in both):
        return x
    size = x.element_size() * x.shape[: x.dim() - len(pairs)].numel()
    for (before, after), n in zip(pairs, x.shape[x.dim() - len(pairs) :], strict=True):
        size *= max(before + int(n) + after, 0)
    demand(size)
    return functional.pad(x, [n for both in reversed(pairs) for n in both], value=value)
