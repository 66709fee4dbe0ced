"""Learning to name pixels: the loss, and pictures that move with their masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, one_hot

from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.vision_training.augment import augment
from ..._shared.vision_training.course import History, held_out, train
from ..._shared.vision_training.pixels import batch_of, scaled
from .masks import IGNORED, Examples

_RATES = {"unet": 0.003, "efficientnet-lite0": 0.001}
_STILL = {"flip": False, "rotate": 0.0, "zoom": 0.0, "shift": 0.0, "erase": 0.0}


def learn_pixels(
    net: nn.Module,
    learn: Examples,
    classes: int,
    preprocessing: Preprocessing,
    params: Any,
    tell: Any,
) -> History:
    """Train in place.

    Args:
        net: a U-Net; ends in eval mode.
        learn: pictures and masks.
        classes: K.
        preprocessing: how pixels are scaled.
        params: of the kind.
        tell: takes (done, total, text) after each epoch.
    """
    places, watched = torch.arange(len(learn.pixels)), None
    if params.patience:
        places, watched = held_out(len(learn.pixels), 0.1, params.seed + 1)
    weight = _weight(learn.masks, classes, params)
    fill = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    if not params.train_backbone:
        net.backbone.requires_grad_(False)

    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if params.backbone == "efficientnet-lite0":
            net.backbone.eval()  # few pictures would spoil the statistics of what is pretrained
        mine = places[chosen].numpy()
        pixels = batch_of(learn.pixels[mine], preprocessing)
        masks = torch.from_numpy(learn.masks[mine]).float()
        pixels, masks = moved(pixels, masks, params.augment, generator, fill)
        scores = net.scores(scaled(pixels, preprocessing))
        return _loss(scores, masks.long(), weight, params.dice_weight)

    def watch() -> float:
        total = 0.0
        with torch.no_grad():
            for place in watched.tolist():
                pixels = scaled(batch_of(learn.pixels[[place]], preprocessing), preprocessing)
                mask = torch.from_numpy(learn.masks[[place]]).long()
                total += float(_loss(net.scores(pixels), mask, weight, params.dice_weight))
        return total / len(watched)

    looking = watch if watched is not None else None
    return train(
        net,
        len(places),
        loss_of,
        params,
        tell,
        rate=_RATES[params.backbone],
        watch=looking,
        parameters=[p for p in net.parameters() if p.requires_grad],
    )


def _loss(
    scores: torch.Tensor, masks: torch.Tensor, weight: torch.Tensor | None, dice: float
) -> torch.Tensor:
    """Cross-entropy of the pixels and one less the overlap of the classes.

    Source: Milletari et al., "V-Net" (2016), for the overlap (Dice's coefficient).
    """
    flat = scores.permute(0, 2, 3, 1).reshape(-1, scores.shape[1])
    known = masks.reshape(-1) != IGNORED
    flat, truth = flat[known], masks.reshape(-1)[known]
    if not len(truth):
        return scores.sum() * 0.0
    loss = cross_entropy(flat, truth, weight=weight)
    if not dice:
        return loss
    said, real = torch.softmax(flat, dim=1), one_hot(truth, scores.shape[1]).float()
    present = real.sum(dim=0) > 0
    both = 2 * (said * real).sum(dim=0) / (said.sum(dim=0) + real.sum(dim=0)).clamp(min=1e-6)
    return loss + dice * (1 - both[present].mean())


def _weight(masks: np.ndarray, classes: int, params: Any) -> torch.Tensor | None:
    if params.class_weight != "balanced":
        return None
    counts = np.bincount(masks[masks != IGNORED], minlength=classes).clip(min=1)
    return torch.from_numpy(counts.sum() / (classes * counts)).float()


def moved(
    pixels: torch.Tensor,
    masks: torch.Tensor,
    options: dict[str, Any],
    generator: torch.Generator,
    fill: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move pictures and their masks alike, then colour the pictures."""
    count_ = len(pixels)

    def around(width: float) -> torch.Tensor:
        return (torch.rand(count_, generator=generator) * 2 - 1) * width

    angle, zoom = around(math.radians(options["rotate"])), 1 + around(options["zoom"])
    mirror = torch.ones(count_)
    if options["flip"]:
        mirror = torch.where(torch.rand(count_, generator=generator) < 0.5, -1.0, 1.0)
    across, down = around(2 * options["shift"]), around(2 * options["shift"])
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.stack([cos * mirror, -sin, across, sin * mirror, cos, down], dim=1)
    grid = affine_grid(theta.view(count_, 2, 3), list(pixels.shape), align_corners=False)
    pixels = grid_sample(pixels - fill, grid, align_corners=False) + fill
    # Outside is 0 for grid_sample: shifted by the ignored number, outside is ignored.
    shifted = grid_sample(masks[:, None] - IGNORED, grid, mode="nearest", align_corners=False)
    return augment(pixels, {**options, **_STILL}, generator, fill), shifted[:, 0] + IGNORED
