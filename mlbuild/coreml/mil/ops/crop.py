"""Cropping the last two dimensions.

Source: coremltools MIL op docs, iOS15 crop.
"""

from __future__ import annotations

from ..operator import Ints, Tensor, operator


@operator("crop", exact=True)
def crop(x: Tensor, crop_height: Ints, crop_width: Ints) -> Tensor:
    """Without the given rows at top and bottom and columns at left and right."""
    height, width = int(x.shape[-2]), int(x.shape[-1])
    return x[..., crop_height[0] : height - crop_height[1], crop_width[0] : width - crop_width[1]]
