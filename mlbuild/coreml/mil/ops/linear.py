"""Matrix products: linear, matmul, einsum.

Source: coremltools MIL op docs, iOS15 and iOS17 linear.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, Tensors, operator


@operator("linear")
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """X weight^T + bias; x is [*D, D_in], weight [D_out, D_in], bias [D_out]."""
    if x.is_floating_point() or weight.is_floating_point():  # iOS17 allows them to differ
        return torch.nn.functional.linear(
            x.float(), weight.float(), None if bias is None else bias.float()
        )
    product = x @ weight.mT
    return product if bias is None else product + bias


@operator("matmul")
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Product of the last two dimensions; the others are broadcast as numpy does."""
    if transpose_x and x.dim() > 1:
        x = x.mT
    if transpose_y and y.dim() > 1:
        y = y.mT
    if x.dtype != y.dtype:  # iOS17 allows it
        x, y = x.float(), y.float()
    return torch.matmul(x, y)


@operator("einsum")
def einsum(values: Tensors, equation: str) -> Tensor:
    """Sum of products in einsum's notation; batch dimensions of 1 are broadcast."""
    return torch.einsum(equation, *values)
