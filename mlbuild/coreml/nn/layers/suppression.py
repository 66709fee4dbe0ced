"""Non-maximum suppression.

Source: Core ML specification, NeuralNetwork.proto: NonMaximumSuppressionLayerParams. Boxes are
(x, y, width, height) around their middle; a box's score is that of its best class. Where no box
reaches the threshold, the best one is given nevertheless; free places hold zeros, and the index
-1.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError
from ..checks import arity, checked_shape, scalar, whole
from ..layer import Given, Run, layer


def _overlaps(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of one box, [4], with others, [n, 4]: [n]."""
    low, high = box[:2] - box[2:] / 2, box[:2] + box[2:] / 2
    lows, highs = others[:, :2] - others[:, 2:] / 2, others[:, :2] + others[:, 2:] / 2
    inside = (torch.minimum(high, highs) - torch.maximum(low, lows)).clamp(min=0).prod(-1)
    union = box[2:].prod() + others[:, 2:].prod(-1) - inside
    return torch.where(union > 0, inside / union, 0.0)


def _selected(
    boxes: torch.Tensor, scores: torch.Tensor, overlap: float, least: float, by_class: bool
) -> torch.Tensor:
    """Indices of the boxes, [N, 4], that stay, best first; scores are [N, C]."""
    best, classes = scores.max(-1)
    order = torch.argsort(best, descending=True, stable=True)
    waiting, chosen = order[best[order] >= least], []
    while len(waiting):
        index, waiting = waiting[0], waiting[1:]
        chosen.append(index)
        crowded = _overlaps(boxes[index], boxes[waiting]) > overlap
        if by_class:
            crowded &= classes[waiting] == classes[index]
        waiting = waiting[~crowded]
    return torch.stack(chosen) if chosen else order[:1]


def _check(given: Given, boxes: torch.Tensor, scores: torch.Tensor) -> None:
    fits = boxes.dim() == scores.dim() == 3 and boxes.shape[:2] == scores.shape[:2]
    if not fits or boxes.shape[2] != 4 or not scores.numel():
        raise ExecutionError(
            "boxes and scores of wrong shapes",
            place=given.place,
            got=f"{list(boxes.shape)}, {list(scores.shape)}",
            allowed=("[B, N, 4], [B, N, C]",),
        )


@layer("NonMaximumSuppression")
def non_maximum_suppression(given: Given) -> Run:
    """Boxes, best first, that overlap no better one by more than the threshold.

    Returns:
        A run from boxes [B, N, 4], scores [B, N, C] and, optionally, the thresholds for overlap
        and score and the most boxes, to boxes [B, M, 4], scores [B, M, C], indices [B, M] and
        the number of boxes, [B].
    """
    arity(given, 2, 5, outputs=4)
    params = given.params

    def run(boxes: torch.Tensor, scores: torch.Tensor, *limits: torch.Tensor) -> object:
        _check(given, boxes, scores)
        overlap, least, most = params.iouThreshold, params.scoreThreshold, params.maxBoxes
        if limits:
            overlap = scalar(given, limits[0], "the overlap")
        if len(limits) > 1:
            least = scalar(given, limits[1], "the score threshold")
        if len(limits) > 2:
            most = whole(given, limits[2], "the number of boxes")
        batch, _, classes = (int(size) for size in scores.shape)
        checked_shape(given, [batch, most, max(classes, 4)])
        kept = (
            boxes.new_zeros(batch, most, 4),
            scores.new_zeros(batch, most, classes),
            torch.full((batch, most), -1.0),
            torch.zeros(batch),
        )
        for i in range(batch):
            chosen = _selected(boxes[i], scores[i], overlap, least, params.perClassSuppression)
            chosen = chosen[:most]
            count = len(chosen)
            kept[0][i, :count], kept[1][i, :count] = boxes[i, chosen], scores[i, chosen]
            kept[2][i, :count], kept[3][i] = chosen.float(), count
        return kept

    return run
