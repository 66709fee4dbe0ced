"""Non-maximum suppression.

Source: coremltools MIL op docs, iOS15 and iOS17 tensor_operation (non_maximum_suppression). A
box's score is that of its best class. Where no box reaches the threshold the best one is
selected nevertheless; places that stay free hold zeros and the index -1.
"""

from __future__ import annotations

import torch

from ...limits import demand
from ..operator import Tensor, operator


def _overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of one box [4] (x, y, width, height) with others [B, 4]: [B]."""
    low = torch.maximum(box[:2] - box[2:] / 2, boxes[:, :2] - boxes[:, 2:] / 2)
    high = torch.minimum(box[:2] + box[2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2)
    inside = (high - low).clamp(min=0).prod(-1)
    union = box[2:].prod() + boxes[:, 2:].prod(-1) - inside
    return torch.where(union > 0, inside / union, 0.0)


def _selected(
    boxes: Tensor, scores: Tensor, limit: float, lowest: float | None, count: int, by_class: bool
) -> list[int]:
    """Indices of the boxes that stay, the best one first; scores are [B, K]."""
    best, classes = scores.max(-1)
    order = torch.argsort(best, descending=True, stable=True)
    left = order if lowest is None else order[best[order] >= lowest]
    chosen: list[int] = []
    while left.numel() and len(chosen) < count:
        index = left[0]
        chosen.append(int(index))
        left = left[1:]
        crowded = _overlaps(boxes[index], boxes[left]) > limit
        if by_class:
            crowded &= classes[left] == classes[index]
        left = left[~crowded]
    return chosen or order[: min(count, 1)].tolist()


def _suppress(
    boxes: Tensor, scores: Tensor, limit: float, lowest: float | None, count: int, by_class: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Boxes [n, B, 4] and scores [n, B, K] to those selected, their indices and number."""
    batch = int(boxes.shape[0])
    demand(batch * count * (4 + int(scores.shape[2])) * 4)
    kept_boxes = boxes.new_zeros(batch, count, 4)
    kept_scores = scores.new_zeros(batch, count, int(scores.shape[2]))
    indices = torch.full((batch, count), -1, dtype=torch.int32)
    numbers = torch.zeros(batch, dtype=torch.int32)
    for i in range(batch):
        chosen = _selected(boxes[i], scores[i], limit, lowest, count, by_class)
        number = len(chosen)
        kept_boxes[i, :number], kept_scores[i, :number] = boxes[i, chosen], scores[i, chosen]
        indices[i, :number] = torch.tensor(chosen, dtype=torch.int32)
        numbers[i] = number
    return kept_boxes, kept_scores, indices, numbers


@operator("non_maximum_suppression", exact=True)
def non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    score_threshold: float,
    max_boxes: int,
    per_class_suppression: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keep boxes, best first, that overlap no better one by more than the threshold.

    Args:
        boxes: [n, B, 4] as (x, y, width, height), where (x, y) is the middle.
        scores: [n, B, K].
        iou_threshold: The largest intersection over union that is allowed.
        score_threshold: Boxes of a lower score are left out.
        max_boxes: How many boxes to select.
        per_class_suppression: Whether only boxes of the same best class compete.

    Returns:
        Boxes [n, max_boxes, 4], scores [n, max_boxes, K], indices [n, max_boxes], numbers [n].
    """
    return _suppress(
        boxes, scores, iou_threshold, score_threshold, max_boxes, per_class_suppression
    )


@operator("non_maximum_suppression", since="iOS17", exact=True)
def non_maximum_suppression_ios17(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    max_boxes: int,
    per_class_suppression: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """The same on [n, 4, B] and [n, K, B], without a threshold for scores or a number."""
    kept_boxes, kept_scores, indices, _ = _suppress(
        boxes.mT, scores.mT, iou_threshold, None, max_boxes, per_class_suppression
    )
    return kept_boxes.mT, kept_scores.mT, indices
