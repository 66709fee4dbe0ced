"""Cutting boxes out of pictures and resizing them bilinearly.

Source: coremltools MIL op docs, iOS15, iOS16 and iOS17 image_resizing (crop_resize).
"""

from __future__ import annotations

from typing import Any

import torch

from ..operator import Tensor, operator
from ..sampled import read_at
from ..sampling import grid

_HEIGHT_FIRST = ("CORNERS_HEIGHT_FIRST", "CENTER_SIZE_HEIGHT_FIRST")


def _corners(boxes: Tensor, mode: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, bottom, right, each [N]."""
    a, b, c, d = boxes.unbind(1)
    if mode not in _HEIGHT_FIRST:
        a, b, c, d = b, a, d, c
    if mode.startswith("CENTER_SIZE"):
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d


def _points(first: Tensor, last: Tensor, count: int, mode: str) -> Tensor:
    """Sampling points between two ends, for each box: [N, count].

    The grid of the sampling mode is laid over the box as over a picture of its size, which need
    not be whole.
    """
    ends = zip(first.tolist(), last.tolist(), strict=True)
    return torch.stack([start + grid(end - start + 1, count, mode) for start, end in ends])


def _crop(
    images: Tensor,
    boxes: Tensor,
    height: int,
    width: int,
    normalized: bool,
    scale: float,
    box_mode: str,
    mode: str,
    pad_value: float | None = None,
) -> Tensor:
    """One box for each image: [N, C, H, W] and [N, 4] to [N, C, height, width].

    A point beyond the outermost pixels' middles is the pad value as a whole (nothing is blended
    with it), or that of the edge where there is none, as up to iOS15.
    """
    top, left, bottom, right = (edge * scale for edge in _corners(boxes.float(), box_mode))
    if normalized:
        rows, columns = int(images.shape[2]) - 1, int(images.shape[3]) - 1
        top, bottom, left, right = top * rows, bottom * rows, left * columns, right * columns
    y = _points(top, bottom, height, mode)[:, :, None].expand(-1, height, width)
    x = _points(left, right, width, mode)[:, None, :].expand(-1, height, width)
    result = read_at(images, x, y, padding="border")
    if pad_value is None:
        return result
    last_x, last_y = int(images.shape[3]) - 1, int(images.shape[2]) - 1
    outside = (x < 0) | (x > last_x) | (y < 0) | (y > last_y)
    return torch.where(outside[:, None], torch.full((), pad_value), result)


def _named(x: Tensor, indices: Tensor) -> Tensor:
    """The images that boxes name."""
    count = int(x.shape[0])
    if indices.numel() and not bool(((indices >= 0) & (indices < count)).all()):
        raise ValueError(f"a box names an image that is not there: {indices.tolist()} of {count}")
    return x[indices]


def _rois(x: Tensor, roi: Tensor, *options: Any) -> Tensor:
    flat = roi.reshape(int(roi.shape[0]), -1)
    if flat.shape[1] == 5:  # the first element names the image
        return _crop(_named(x, flat[:, 0].long()), flat[:, 1:], *options)[:, None]
    return torch.stack([_crop(x, box.expand(int(x.shape[0]), 4), *options) for box in flat])


@operator("crop_resize")
def crop_resize(
    x: Tensor,
    roi: Tensor,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Boxes of x, [B, C, H, W]; roi is [N, 1, 4, 1, 1], or 5 with the image's index first.

    Returns:
        [N, B, C, height, width], or [N, 1, C, height, width] where boxes name their image.
    """
    return _rois(
        x, roi, target_height, target_width, normalized_coordinates, spatial_scale,
        box_coordinate_mode, sampling_mode,
    )  # fmt: skip


@operator("crop_resize", since="iOS16")
def crop_resize_ios16(
    x: Tensor,
    roi: Tensor,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Tensor:
    """The same, with a value for what lies outside of the picture."""
    return _rois(
        x, roi, target_height, target_width, normalized_coordinates, spatial_scale,
        box_coordinate_mode, sampling_mode, pad_value,
    )  # fmt: skip


@operator("crop_resize", since="iOS17")
def crop_resize_ios17(
    x: Tensor,
    boxes: Tensor,
    box_indices: Tensor | None = None,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> Tensor:
    """Boxes of x, [B, C, H, W]; boxes is [N, 4], box_indices [N] names the images.

    Returns:
        [N, C, height, width].
    """
    named = torch.arange(int(boxes.shape[0])) if box_indices is None else box_indices.long()
    return _crop(
        _named(x, named), boxes, target_height, target_width, normalized_coordinates, spatial_scale,
        box_coordinate_mode, sampling_mode, pad_value,
    )  # fmt: skip
