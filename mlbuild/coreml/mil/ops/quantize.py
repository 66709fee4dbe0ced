"""Quantized activations: quantize and dequantize.

Source: coremltools MIL op docs, iOS17 quantization_ops. Halves are rounded to the even neighbour.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator

_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


def _along(values: Tensor, x: Tensor, axis: int | None) -> Tensor:
    if values.dim() == 0 or axis is None:
        return values.float()
    shape = [1] * x.dim()
    shape[axis] = -1
    return values.float().reshape(shape)


@operator("quantize", since="iOS17")
def quantize(
    input: Tensor,
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """clip(round(input / scale) + zero_point), scale and zero point for all or along an axis."""
    result = torch.round(input / _along(scale, input, axis))
    if zero_point is not None:
        result = result + _along(zero_point, input, axis)
    low, high = _RANGES[output_dtype]
    return result.clamp(low, high).to(getattr(torch, output_dtype))


@operator("dequantize", since="iOS17")
def dequantize(
    input: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """Scale (input - zero_point)."""
    result = input.float()
    if zero_point is not None:
        result = result - _along(zero_point, input, axis)
    return result * _along(scale, input, axis)
