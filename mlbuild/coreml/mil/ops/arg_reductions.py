"""Where the largest or smallest element stands.

Source: coremltools MIL op docs, iOS15 and iOS17 reduction (reduce_argmax, reduce_argmin). Of
equal elements the first is named.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("reduce_argmax")
def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False) -> Tensor:
    """Index of the largest element along the axis."""
    return torch.argmax(x, axis, keep_dims)


@operator("reduce_argmax", since="iOS17")
def reduce_argmax_ios17(
    x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
) -> Tensor:
    """The same, in a type of choice, which the result's declared type repeats."""
    return torch.argmax(x, axis, keep_dims)


@operator("reduce_argmin")
def reduce_argmin(x: Tensor, axis: int = -1, keep_dims: bool = False) -> Tensor:
    """Index of the smallest element along the axis."""
    return torch.argmin(x, axis, keep_dims)


@operator("reduce_argmin", since="iOS17")
def reduce_argmin_ios17(
    x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32"
) -> Tensor:
    """The same, in a type of choice, which the result's declared type repeats."""
    return torch.argmin(x, axis, keep_dims)
