"""Elementwise arithmetic of two tensors with numpy's broadcasting.

Source: coremltools MIL op docs, iOS15 elementwise_binary. ``floor_div`` and ``mod`` round towards
minus infinity; ``real_div`` of integers is cut to the declared integer type.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("add")
def add(x: Tensor, y: Tensor) -> Tensor:
    """X + y."""
    return x + y


@operator("sub")
def sub(x: Tensor, y: Tensor) -> Tensor:
    """X - y."""
    return x - y


@operator("mul")
def mul(x: Tensor, y: Tensor) -> Tensor:
    """X y."""
    return x * y


@operator("real_div")
def real_div(x: Tensor, y: Tensor) -> Tensor:
    """X / y."""
    return x / y


@operator("floor_div")
def floor_div(x: Tensor, y: Tensor) -> Tensor:
    """Floor of x / y."""
    return torch.floor(x / y) if x.is_floating_point() else torch.floor_divide(x, y)


@operator("mod")
def mod(x: Tensor, y: Tensor) -> Tensor:
    """X - y floor(x / y)."""
    return torch.remainder(x, y)


@operator("pow")
def power(x: Tensor, y: Tensor) -> Tensor:
    """X to the power of y."""
    if not x.is_floating_point():
        return torch.pow(x.double(), y.double())
    return torch.pow(x, y)


@operator("maximum", exact=True)
def maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger one."""
    return torch.maximum(x, y)


@operator("minimum", exact=True)
def minimum(x: Tensor, y: Tensor) -> Tensor:
    """The smaller one."""
    return torch.minimum(x, y)
