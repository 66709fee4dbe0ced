"""cumsum and band_part.

Source: coremltools MIL op docs, iOS15 tensor_operation.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator


@operator("cumsum")
def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Running sum along an axis; exclusive leaves each element out of its own sum."""
    if reverse:
        x = torch.flip(x, [axis])
    total = torch.cumsum(x, axis)
    if exclusive:
        total = torch.roll(total, 1, axis)
        total.narrow(axis, 0, min(1, int(x.shape[axis]))).zero_()
    return torch.flip(total, [axis]) if reverse else total


@operator("band_part", exact=True)
def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """Zeros outside of a band around the diagonal of the last two dimensions."""
    rows = torch.arange(int(x.shape[-2]))[:, None]
    columns = torch.arange(int(x.shape[-1]))[None, :]
    inside = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return torch.where(inside, x, torch.zeros((), dtype=x.dtype))
