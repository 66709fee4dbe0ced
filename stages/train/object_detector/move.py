"""Random changes of pictures with their boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import affine_grid, grid_sample

from ..._shared.vision_training.augment import augment

_LEFT = 0.3  # share of a box that must stay in sight


def moved(
    batch: torch.Tensor,
    classes: list[torch.Tensor],
    boxes: list[torch.Tensor],
    options: dict[str, Any],
    generator: torch.Generator,
    fill: torch.Tensor,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Mirror, zoom, shift and colour each picture differently; its boxes follow.

    Args:
        batch: pixels from 0 to 255, [N, C, H, W].
        classes: of each picture, [G].
        boxes: of each picture, [G, 4]: left, upper, right, lower in pixels.
        options: of the kind's ``augment``.
        generator: of the random numbers.
        fill: colour of what lies outside of the picture, [1, C, 1, 1].
    """
    count, _, height, width = batch.shape
    zoom = 1 + (torch.rand(count, 1, generator=generator) * 2 - 1) * options["zoom"]
    shift = (torch.rand(count, 2, generator=generator) * 2 - 1) * 2 * options["shift"]
    mirror = torch.ones(count, 1)
    if options["flip"]:
        mirror = torch.where(torch.rand(count, 1, generator=generator) < 0.5, -1.0, 1.0)
    zero = torch.zeros(count, 1)
    # The grid says where each pixel comes from: source = factor * target + shift, from -1 to 1.
    factor = torch.cat([zoom * mirror, zoom], dim=1)
    rows = [factor[:, :1], zero, shift[:, :1], zero, factor[:, 1:], shift[:, 1:]]
    grid = affine_grid(
        torch.cat(rows, dim=1).view(count, 2, 3), list(batch.shape), align_corners=False
    )
    batch = grid_sample(batch - fill, grid, mode="bilinear", align_corners=False) + fill
    still = {"flip": False, "rotate": 0.0, "zoom": 0.0, "shift": 0.0, "erase": 0.0}
    batch = augment(batch, {**options, **still}, generator, fill)
    half = torch.tensor([width / 2, height / 2])
    pairs = [
        _follow(c, b, factor[n], shift[n], half)
        for n, (c, b) in enumerate(zip(classes, boxes, strict=True))
    ]
    return batch, [c for c, _ in pairs], [b for _, b in pairs]


def _follow(
    classes: torch.Tensor,
    boxes: torch.Tensor,
    factor: torch.Tensor,
    shift: torch.Tensor,
    half: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    ends = ((boxes.view(-1, 2, 2) / half - 1) - shift) / factor
    ends = (ends + 1) * half
    low, high = ends.amin(dim=1), ends.amax(dim=1)  # mirrored, left is right
    cut_low, cut_high = torch.minimum(low.clamp(min=0), 2 * half), torch.minimum(high, 2 * half)
    seen = (cut_high - cut_low).clamp(min=0).prod(dim=1) / (high - low).prod(dim=1)
    kept = seen >= _LEFT
    return classes[kept], torch.cat([cut_low, cut_high.clamp(min=0)], dim=1)[kept]
