"""Enlarging the last two dimensions by factors.

Source: coremltools MIL op docs, iOS15 and iOS16 image_resizing (upsample_nearest_neighbor,
upsample_bilinear). The scale is worked out again from the size of the result.
"""

from __future__ import annotations

import math

import torch

from ..operator import Tensor, operator
from ..sampling import grid, linear


@operator("upsample_nearest_neighbor", exact=True)
def upsample_nearest_neighbor(
    x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Tensor:
    """Repeat elements; x is [*D, H, W]."""
    for axis, factor in ((x.dim() - 2, scale_factor_height), (x.dim() - 1, scale_factor_width)):
        size = int(x.shape[axis])
        count = math.floor(size * factor)
        places = (torch.arange(count) * size).div(count, rounding_mode="floor")
        x = x.index_select(axis, places)
    return x


def _bilinear(x: Tensor, height: float, width: float, mode: str) -> Tensor:
    for axis, factor in ((x.dim() - 2, height), (x.dim() - 1, width)):
        size = int(x.shape[axis])
        x = linear(x, axis, grid(size, math.floor(size * factor), mode))
    return x


@operator("upsample_bilinear")
def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
) -> Tensor:
    """Interpolate bilinearly; x is [*D, H, W]."""
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS"
    return _bilinear(x, scale_factor_height, scale_factor_width, mode)


@operator("upsample_bilinear", since="iOS16")
def upsample_bilinear_ios16(
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """The same; without aligned corners the points need not lie in the pixels' middles."""
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS"
    if half_pixel_centers is False and not align_corners:
        mode = "DEFAULT"
    return _bilinear(x, scale_factor_height, scale_factor_width, mode)
