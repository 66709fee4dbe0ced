"""Resizing the last two dimensions to a target size.

Source: coremltools MIL op docs, iOS15 image_resizing (resize_bilinear,
resize_nearest_neighbor), iOS17 image_resizing (resize). Nearest neighbours of iOS15 are those
below the sampling point; iOS17 rounds the point.
"""

from __future__ import annotations

import torch

from ..operator import Ints, Tensor, operator
from ..sampling import grid, linear


@operator("resize_bilinear")
def resize_bilinear(
    x: Tensor,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Bilinear; x is [*D, H, W]."""
    x = linear(x, x.dim() - 2, grid(int(x.shape[-2]), target_size_height, sampling_mode))
    return linear(x, x.dim() - 1, grid(int(x.shape[-1]), target_size_width, sampling_mode))


def _nearest(x: Tensor, axis: int, count: int) -> Tensor:
    size = int(x.shape[axis])
    places = (torch.arange(count) * size).div(count, rounding_mode="floor")
    return x.index_select(axis, places.clamp(max=size - 1))


@operator("resize_nearest_neighbor", exact=True)
def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """Nearest neighbour; x is [*D, H, W]."""
    x = _nearest(x, x.dim() - 2, target_size_height)
    return _nearest(x, x.dim() - 1, target_size_width)


@operator("resize", since="iOS17")
def resize(
    x: Tensor,
    shape: Ints,
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Resize the last resized_dims dimensions to those of shape; a 0 leaves one as it is."""
    for offset in range(resized_dims):
        axis = x.dim() - 1 - offset
        count = shape[len(shape) - 1 - offset]
        if count == 0:
            continue
        points = grid(int(x.shape[axis]), count, sampling_mode)
        if interpolation_mode == "LINEAR":
            x = linear(x, axis, points)
        else:
            last = int(x.shape[axis]) - 1
            places = torch.floor(points + 0.5).clamp(0, last).long()
            x = x.index_select(axis, places)
    return x
