"""Random changes of a batch of pictures, drawn from one generator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import affine_grid, grid_sample


def augment(
    batch: torch.Tensor, options: dict[str, Any], generator: torch.Generator, fill: torch.Tensor
) -> torch.Tensor:
    """Change each picture of a batch differently.

    Args:
        batch: pixels from 0 to 255, float32, shape [N, C, H, W].
        options: of the kind's ``augment``.
        generator: of the random numbers.
        fill: colour of what lies outside the picture, shape [1, C, 1, 1].

    Returns:
        The same shape and range.
    """
    batch = _moved(batch, options, generator, fill)
    batch = _coloured(batch, options, generator)
    if options["erase"]:
        batch = _erased(batch, options["erase"], generator, fill)
    return batch.clamp(0, 255)


def _moved(
    batch: torch.Tensor, options: dict[str, Any], generator: torch.Generator, fill: torch.Tensor
) -> torch.Tensor:
    count = len(batch)
    angle = _around(count, math.radians(options["rotate"]), generator)
    zoom = 1 + _around(count, options["zoom"], generator)
    mirror = torch.ones(count)
    if options["flip"]:
        mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    across = _around(count, 2 * options["shift"], generator)  # the grid runs from -1 to 1
    down = _around(count, 2 * options["shift"], generator)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [cos * mirror, -sin, across, sin * mirror, cos, down]
    theta = torch.stack(rows, dim=1).view(count, 2, 3)
    grid = affine_grid(theta, list(batch.shape), align_corners=False)
    # Outside is 0 for grid_sample: shifted by the fill colour, outside becomes that colour.
    moved = grid_sample(batch - fill, grid, mode="bilinear", align_corners=False)
    return moved + fill


def _coloured(
    batch: torch.Tensor, options: dict[str, Any], generator: torch.Generator
) -> torch.Tensor:
    count = len(batch)

    def factor(name: str) -> torch.Tensor:
        return 1 + _around(count, options[name], generator).view(-1, 1, 1, 1)

    batch = batch * factor("brightness")
    mean = batch.mean(dim=(1, 2, 3), keepdim=True)
    batch = (batch - mean) * factor("contrast") + mean
    if batch.shape[1] == 1:
        return batch
    grey = batch.mean(dim=1, keepdim=True)
    return (batch - grey) * factor("saturation") + grey


def _erased(
    batch: torch.Tensor, share: float, generator: torch.Generator, fill: torch.Tensor
) -> torch.Tensor:
    height, width = batch.shape[2:]
    batch = batch.clone()
    for picture in batch:
        chance, size, top, left = torch.rand(4, generator=generator).tolist()
        if chance < share:
            high, wide = (max(1, round(side * (0.1 + 0.3 * size))) for side in (height, width))
            y, x = round(top * (height - high)), round(left * (width - wide))
            picture[:, y : y + high, x : x + wide] = fill[0]
    return batch


def _around(count: int, width: float, generator: torch.Generator) -> torch.Tensor:
    """Uniform from -width to width."""
    return (torch.rand(count, generator=generator) * 2 - 1) * width
