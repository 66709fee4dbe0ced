"""Cutting a tensor into several.

Source: coremltools MIL op docs, iOS15 split.
"""

from __future__ import annotations

import torch

from ..operator import Declared, Ints, Tensor, operator


@operator("split", exact=True)
def split(
    x: Tensor,
    axis: int,
    declared: Declared,
    num_splits: int | None = None,
    split_sizes: Ints | None = None,
) -> tuple[Tensor, ...] | Tensor:
    """Cut along an axis into given sizes, or into equal parts."""
    if split_sizes is None:
        if not num_splits or x.shape[axis] % num_splits:
            raise ValueError(f"{x.shape[axis]} elements cannot be cut into {num_splits} parts")
        split_sizes = [int(x.shape[axis]) // num_splits] * num_splits
    parts = torch.split(x, split_sizes, axis)
    return parts[0] if len(declared) == 1 else parts
