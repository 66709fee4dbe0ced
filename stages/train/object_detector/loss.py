"""Which places answer for which object, and what their answers cost.

Sources: Tian et al., "FCOS" (2019): places near an object's middle answer for it, of several
objects the smallest, each size at its own grid. Li et al., "Generalized focal loss" (2020): the
score that is learnt is the overlap that the box reaches. Rezatofighi et al., "Generalized
intersection over union" (2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ..._shared.torch_model.detector_net import Detector

_RADIUS = 1.5  # steps of the grid around the middle
_LARGEST = 6.0  # steps: larger objects belong to the next grid


def detection_loss(
    net: Detector,
    batch: torch.Tensor,
    classes: Sequence[torch.Tensor],
    boxes: Sequence[torch.Tensor],
    box_weight: float,
) -> torch.Tensor:
    """Mean loss of a batch.

    Args:
        net: the detector.
        batch: scaled pictures, [N, C, H, W].
        classes: of each picture, [G].
        boxes: of each picture, [G, 4]: left, upper, right, lower in pixels.
        box_weight: of the boxes' part.
    """
    logits, sides = net.raw(batch)
    answer = [answering(net, b) for b in boxes]
    corners = net.corners(sides)
    target = torch.zeros_like(logits)
    apart, weight = logits.new_zeros(()), logits.new_zeros(())
    for picture, (owner, mine) in enumerate(zip(answer, boxes, strict=True)):
        places = torch.nonzero(owner >= 0).flatten()
        if not len(places):
            continue
        wanted = mine[owner[places]]
        iou, generalized = overlap(corners[picture, places], wanted)
        quality = iou.detach().clamp(0, 1)
        target[picture, places, classes[picture][owner[places]]] = quality
        apart = apart + ((1 - generalized) * quality.clamp(min=0.05)).sum()
        weight = weight + quality.clamp(min=0.05).sum()
    positives = max(1, sum(int((owner >= 0).sum()) for owner in answer))
    focus = (torch.sigmoid(logits).detach() - target).abs() ** 2
    scores = binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (focus * scores).sum() / positives + box_weight * apart / weight.clamp(min=1.0)


def answering(net: Detector, boxes: torch.Tensor) -> torch.Tensor:
    """The object for which each place answers, [G, 4] -> [A]; -1 for none."""
    places = net.places
    if not len(boxes):
        return torch.full((len(places),), -1, dtype=torch.int64)
    x, y, step = places.T[:, :, None]
    left, top, right, low = boxes.T[:, None, :]
    inside = (x > left) & (x < right) & (y > top) & (y < low)
    middle_x, middle_y = (left + right) / 2, (top + low) / 2
    near = ((x - middle_x).abs() < _RADIUS * step) & ((y - middle_y).abs() < _RADIUS * step)
    size = torch.maximum(right - left, low - top)
    grids = sorted(set(net.strides))
    fits = (size <= _LARGEST * step) | (step == grids[-1])
    finer = step / 2 if len(grids) > 1 else step
    fits &= (size > _LARGEST * finer) | (step == grids[0])
    mine = inside & near & fits
    # An object between the places of its grid still gets the nearest one.
    distance = (x - middle_x) ** 2 + (y - middle_y) ** 2 + torch.where(fits, 0.0, 1e12)
    lonely = ~mine.any(dim=0)
    mine[distance.argmin(dim=0)[lonely], torch.nonzero(lonely).flatten()] = True
    area = ((right - left) * (low - top)).expand_as(mine)
    owner = torch.where(mine, area, torch.inf).argmin(dim=1)
    return torch.where(mine.any(dim=1), owner, -1)


def overlap(boxes: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Intersection over union, plain and generalized, of pairs of corners: [P, 4] -> [P]."""
    inner = torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])
    shared = inner.clamp(min=0).prod(dim=1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1) + (others[:, 2:] - others[:, :2]).prod(dim=1)
    union = (area - shared).clamp(min=1e-6)
    outer = torch.maximum(boxes[:, 2:], others[:, 2:]) - torch.minimum(boxes[:, :2], others[:, :2])
    hull = outer.prod(dim=1).clamp(min=1e-6)
    iou = shared / union
    return iou, iou - (hull - union) / hull
