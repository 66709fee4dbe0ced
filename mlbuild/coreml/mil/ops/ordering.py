"""Sorting and searching: argsort, topk, non_zero.

Source: coremltools MIL op docs, iOS15, iOS16 and iOS17 tensor_operation. Equal elements keep
their order.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("argsort")
def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """The indices that sort x along an axis."""
    return torch.argsort(x, dim=axis, descending=not ascending, stable=True)


def _topk(x: Tensor, k: int, axis: int, ascending: bool) -> tuple[Tensor, Tensor]:
    count = int(x.shape[axis]) if k == -1 else k
    values, indices = torch.sort(x, dim=axis, descending=not ascending, stable=True)
    return values.narrow(axis, 0, count), indices.narrow(axis, 0, count).to(torch.int32)


@operator("topk", exact=True)
def topk(x: Tensor, k: int = 1, axis: int = -1, ascending: bool = False) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) elements, sorted, and their indices."""
    return _topk(x, k, axis, ascending)


@operator("topk", since="iOS16", exact=True)
def topk_ios16(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
) -> tuple[Tensor, Tensor] | Tensor:
    """The k largest (or smallest) elements and, if wanted, their indices."""
    values, indices = _topk(x, k, axis, ascending)
    return (values, indices) if return_indices else values


@operator("topk", since="iOS17", exact=True)
def topk_ios17(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> tuple[Tensor, Tensor] | Tensor:
    """The same; the indices' type is also their declared one."""
    return topk_ios16(x, k, axis, ascending, sort, return_indices)


@operator("non_zero")
def non_zero(x: Tensor) -> Tensor:
    """The indices of elements that are not zero: [count, rank]."""
    return torch.nonzero(x)
