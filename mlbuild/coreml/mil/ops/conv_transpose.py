"""Transposed convolution in one, two or three dimensions.

Source: coremltools MIL op docs, iOS15 and iOS17 conv_transpose.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..operator import Ints, Tensor, operator

_CONVS = {3: torch.conv_transpose1d, 4: torch.conv_transpose2d, 5: torch.conv_transpose3d}


@operator("conv_transpose")
def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Ints | None = None,
    output_shape: Ints | None = None,
    pad_type: str = "valid",
    strides: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolve transposed: the whole result is made, then cut.

    Args:
        x: [n, C_in, *D].
        weight: [C_in, C_out / groups, *K].
        bias: [C_out].
        pad: Elements to cut before and after each spatial dimension.
        output_shape: The whole shape, where the cut leaves it open.
        pad_type: valid, custom, same or same_lower; same makes D * stride.
        strides: One for each spatial dimension; 1 by default.
        dilations: One for each spatial dimension; 1 by default.
        groups: Number of groups of channels.

    Returns:
        [n, C_out, *D_out].
    """
    spatial = x.dim() - 2
    strides, dilations = strides or [1] * spatial, dilations or [1] * spatial
    full = _CONVS[x.dim()](x, weight, None, strides, 0, 0, groups, dilations)
    wanted = _sizes(x, full, pad_type, pad or [0] * 2 * spatial, output_shape, strides)
    result = _cut(full, wanted, pad_type, pad or [0] * 2 * spatial)
    if bias is not None:
        result = result + bias.reshape([1, -1] + [1] * spatial)
    return result


def _sizes(
    x: Tensor,
    full: Tensor,
    pad_type: str,
    pad: list[int],
    output_shape: list[int] | None,
    strides: list[int],
) -> list[int]:
    if output_shape is not None:
        return output_shape[2:]
    if pad_type in ("same", "same_lower"):
        return [int(n) * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if pad_type == "custom":
        pairs = zip(full.shape[2:], pad[0::2], pad[1::2], strict=True)
        return [int(n) - before - after for n, before, after in pairs]
    return [int(n) for n in full.shape[2:]]


def _cut(full: Tensor, wanted: list[int], pad_type: str, pad: list[int]) -> Tensor:
    """Cut, or fill with zeros where the wanted size is larger."""
    amounts: list[int] = []
    for axis in reversed(range(len(wanted))):
        surplus = int(full.shape[2 + axis]) - wanted[axis]
        before = pad[2 * axis] if pad_type == "custom" else 0
        if pad_type == "same":
            before = max(surplus, 0) // 2
        elif pad_type == "same_lower":
            before = -(-max(surplus, 0) // 2)
        amounts += [-before, before - surplus]
    return functional.pad(full, amounts) if any(amounts) else full
