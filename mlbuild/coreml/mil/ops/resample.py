"""Reading a picture at given points: resample, affine.

Source: coremltools MIL op docs, iOS15, iOS16 and iOS17 image_resizing.
"""

from __future__ import annotations

import torch

from ..operator import Tensor, operator
from ..sampled import read_at


def _pixels(points: Tensor, size: int, mode: str, align_corners: bool) -> Tensor:
    """Coordinates in pixels; aligned corners are the middles of the outermost pixels."""
    if mode == "unnormalized":
        return points
    share = (points + 1) / 2 if mode == "normalized_minus_one_to_one" else points
    return share * (size - 1) if align_corners else share * size - 0.5


@operator("resample")
def resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """Sample x, [B, C, H, W], at coordinates, [B, h, w, 2] as (column, row)."""
    height, width = int(x.shape[2]), int(x.shape[3])
    points = coordinates.float()
    return read_at(
        x,
        _pixels(points[..., 0], width, coordinates_mode, align_corners),
        _pixels(points[..., 1], height, coordinates_mode, align_corners),
        sampling=sampling_mode,
        padding=padding_mode,
        value=padding_value,
    )


@operator("affine")
def affine(
    x: Tensor,
    transform_matrix: Tensor,
    output_height: int,
    output_width: int,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """Sample x, [B, C, H, W], at affinely transformed points; the matrix is [B or 1, 6]."""
    height, width = int(x.shape[2]), int(x.shape[3])
    rows, columns = torch.meshgrid(
        _line(output_height, align_corners), _line(output_width, align_corners), indexing="ij"
    )
    a0, a1, a2, b0, b1, b2 = transform_matrix.expand(x.shape[0], 6).mT[:, :, None, None]
    return read_at(
        x,
        _pixels(a0 * columns + a1 * rows + a2, width, coordinates_mode, align_corners),
        _pixels(b0 * columns + b1 * rows + b2, height, coordinates_mode, align_corners),
        sampling=sampling_mode,
        padding=padding_mode,
        value=padding_value,
    )


def _line(count: int, align_corners: bool) -> Tensor:
    """The output's own coordinates, -1 to 1."""
    if align_corners:
        return torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)
    return (torch.arange(count, dtype=torch.float32) * 2 + 1) / count - 1
