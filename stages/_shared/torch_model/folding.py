"""Normalization folded into the convolution before it, as converters do it anyway.

A compressed network is trained in this form: what folds later multiplies each channel of a weight
by a factor of its own, and sixteen values a layer would become sixteen for each channel.
"""

from __future__ import annotations

import torch
from torch import nn


def fold(net: nn.Module) -> int:
    """Fold in place every batch normalization that follows a convolution; gives their number.

    Layers follow each other where they are registered one after the other in one module.
    """
    folded = 0
    for module in list(net.modules()):
        before: tuple[str, nn.Module] | None = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and before and _fits(before[1], child):
                _into(before[1], child)
                setattr(module, name, nn.Identity())
                folded += 1
            before = (name, child)
    return folded


def _fits(layer: nn.Module, norm: nn.BatchNorm2d) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.out_channels == norm.num_features


def _into(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """The layer y = (w x + b - mean) / sqrt(var + eps) * gamma + beta, as one convolution."""
    with torch.no_grad():
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = convolution.bias if convolution.bias is not None else torch.zeros_like(factor)
        convolution.weight.mul_(factor.view(-1, 1, 1, 1))
        convolution.bias = nn.Parameter((bias - norm.running_mean) * factor + norm.bias)
