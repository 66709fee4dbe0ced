"""Suppression of overlapping boxes as Core ML's own model does it.

Source: Core ML specification, NonMaximumSuppression.proto.
"""

from __future__ import annotations

import numpy as np


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (middle, size), shapes [N, 4], [M, 4] -> [N, M]."""
    low = np.maximum(_low(boxes)[:, None], _low(others)[None])
    high = np.minimum(_high(boxes)[:, None], _high(others)[None])
    shared = np.maximum(high - low, 0).prod(axis=2)
    union = boxes[:, 2:].prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)[None] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)


def suppress(
    confidences: np.ndarray,
    boxes: np.ndarray,
    iou: float,
    floor: float,
    *,
    per_class: bool = True,
    most: int | None = None,
) -> np.ndarray:
    """Places of the boxes that are kept, by falling confidence.

    Args:
        confidences: shape [A, K].
        boxes: shape [A, 4]: x and y of the middle, width, height.
        iou: a box goes that overlaps a better one by more.
        floor: a box goes whose best class is below.
        per_class: boxes of other classes do not suppress each other.
        most: at most so many.
    """
    best, classes = confidences.max(axis=1), confidences.argmax(axis=1)
    order = np.argsort(-best, kind="stable")
    waiting = order[best[order] >= floor]
    kept: list[int] = []
    while len(waiting) and (most is None or len(kept) < most):
        top, waiting = waiting[0], waiting[1:]
        kept.append(int(top))
        close = overlaps(boxes[top][None], boxes[waiting])[0] > iou
        if per_class:
            close &= classes[waiting] == classes[top]
        waiting = waiting[~close]
    return np.array(kept, dtype=np.int64)


def _low(boxes: np.ndarray) -> np.ndarray:
    return boxes[:, :2] - boxes[:, 2:] / 2


def _high(boxes: np.ndarray) -> np.ndarray:
    return boxes[:, :2] + boxes[:, 2:] / 2
