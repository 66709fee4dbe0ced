"""Reading pictures at arbitrary points, shared by affine and resample.

Source: coremltools MIL op docs, iOS15 image_resizing (affine, resample).
"""

from __future__ import annotations

import torch


def read_at(
    image: torch.Tensor,
    columns: torch.Tensor,
    rows: torch.Tensor,
    *,
    sampling: str = "bilinear",
    padding: str = "constant",
    value: float = 0.0,
) -> torch.Tensor:
    """The image at points given in pixels.

    Args:
        image: [B, C, H, W].
        columns: [B, h, w], 0 is the middle of the first pixel.
        rows: The same.
        sampling: bilinear or nearest.
        padding: constant, border, reflection or symmetric: what lies outside.
        value: The constant.

    Returns:
        [B, C, h, w].
    """
    if sampling == "nearest":
        near_x, near_y = torch.floor(columns + 0.5), torch.floor(rows + 0.5)  # halves go up
        return _pixels(image, near_x, near_y, padding, value)
    left, top = columns.floor(), rows.floor()
    across, down = (columns - left)[:, None], (rows - top)[:, None]
    result = torch.zeros(())
    for x, wx in ((left, 1 - across), (left + 1, across)):
        for y, wy in ((top, 1 - down), (top + 1, down)):
            result = result + _pixels(image, x, y, padding, value) * (wx * wy)
    return result


def _pixels(
    image: torch.Tensor, columns: torch.Tensor, rows: torch.Tensor, padding: str, value: float
) -> torch.Tensor:
    height, width = int(image.shape[2]), int(image.shape[3])
    x, y = _place(columns, width, padding), _place(rows, height, padding)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    flat = image.flatten(2)
    places = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten(1)
    taken = flat.gather(2, places[:, None].expand(-1, flat.shape[1], -1))
    taken = taken.reshape(*image.shape[:2], *columns.shape[1:])
    return torch.where(inside[:, None], taken, torch.full((), value))


def _place(points: torch.Tensor, size: int, padding: str) -> torch.Tensor:
    points = points.clamp(-(2.0**30), 2.0**30).long()
    if padding == "border":
        return points.clamp(0, size - 1)
    if padding == "reflection":  # 2 1 | 0 1 2 | 1 0
        period = max(2 * (size - 1), 1)
        points = points.remainder(period)
        return torch.where(points < size, points, period - points)
    if padding == "symmetric":  # 1 0 | 0 1 2 | 2 1
        points = points.remainder(2 * size)
        return torch.where(points < size, points, 2 * size - 1 - points)
    if padding == "constant":
        return points
    raise ValueError(f"unknown padding mode {padding}")
