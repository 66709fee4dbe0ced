"""Convolution in one, two or three dimensions.

Source: coremltools MIL op docs, iOS15 and iOS17 conv.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..operator import Ints, Tensor, operator
from ..windows import torch_pad, window_padding

_CONVS = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}


@operator("conv")
def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Ints | None = None,
    pad_type: str = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolve.

    Args:
        x: [n, C_in, *D].
        weight: [C_out, C_in / groups, *K].
        bias: [C_out].
        strides: One for each spatial dimension; 1 by default.
        pad_type: valid, custom, same or same_lower.
        pad: Elements before and after each spatial dimension, for custom.
        dilations: One for each spatial dimension; 1 by default.
        groups: Number of groups of channels.

    Returns:
        [n, C_out, *D_out].
    """
    spatial = x.dim() - 2
    strides = strides or [1] * spatial
    dilations = dilations or [1] * spatial
    pairs = window_padding(
        pad_type, pad, list(x.shape[2:]), list(weight.shape[2:]), strides, dilations
    )
    padding = [before for before, _ in pairs]
    if any(before != after for before, after in pairs):
        x, padding = functional.pad(x, torch_pad(pairs)), [0] * spatial
    return _CONVS[x.dim()](x, weight, bias, strides, padding, dilations, groups)


@operator("conv_quantized")
def conv_quantized(
    x: Tensor,
    weight: Tensor,
    quantization_type: str,
    quant_scale: Tensor,
    quant_bias: Tensor,
    bias: Tensor | None = None,
    nbits: int = 8,
    strides: Ints | None = None,
    pad_type: str = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Convolve with weight * quant_scale + quant_bias, each one number or one for each of C_out.

    The weight holds integers below 2 ** nbits, one in an element.
    """
    if quantization_type != "linear":
        raise ValueError(
            f"quantization_type {quantization_type}: the operator has no input for a table"
        )
    if weight.numel() and int(weight.max()) >= 2**nbits:
        raise ValueError(f"a weight of {int(weight.max())} does not fit {nbits} bits")
    shape = [-1] + [1] * (weight.dim() - 1)
    real = weight.float() * quant_scale.reshape(shape) + quant_bias.reshape(shape)
    offset = None if bias is None else bias.float()
    return conv(x, real, offset, strides, pad_type, pad, dilations, groups)
