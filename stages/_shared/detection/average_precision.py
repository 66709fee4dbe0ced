"""Mean average precision of detected boxes.

Within a picture and class, detections in the order of falling confidence each take the best box
that none before took, if they overlap it enough. Over all pictures, precision at each recall is
made falling (the best at that recall or beyond) and averaged over recalls 0, 0.01, ..., 1.

Sources: Lin et al., "Microsoft COCO: Common Objects in Context" (2014), and the description of its
detection evaluation (cocodataset.org): 101 recalls, thresholds 0.5, 0.55, ..., 0.95, at most 100
detections a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .suppression import overlaps

THRESHOLDS = tuple(np.round(np.arange(0.5, 0.951, 0.05), 2).tolist())
MOST = 100
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Found:
    """What a detector says of one picture: classes [D], confidences [D], boxes [D, 4]."""

    classes: np.ndarray
    confidences: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Truth:
    """What there is: classes [G], boxes [G, 4]."""

    classes: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Matches:
    """Detections of one class over all pictures, by falling confidence."""

    confidences: np.ndarray  # [D]
    pictures: np.ndarray  # [D]
    right: np.ndarray  # [T, D]: at each threshold
    boxes: np.ndarray  # [pictures]: boxes that there are in each


def match(found: Sequence[Found], truth: Sequence[Truth], label: int) -> Matches:
    """Hold the detections of a class against its boxes."""
    confidences, pictures, right, counts = [], [], [], []
    for picture, (said, real) in enumerate(zip(found, truth, strict=True)):
        mine = np.flatnonzero(said.classes == label)
        mine = mine[np.argsort(-said.confidences[mine], kind="stable")][:MOST]
        boxes = real.boxes[real.classes == label]
        counts.append(len(boxes))
        confidences.append(said.confidences[mine])
        pictures.append(np.full(len(mine), picture))
        right.append(_right(said.boxes[mine], boxes))
    every = np.concatenate(confidences)
    order = np.argsort(-every, kind="stable")
    return Matches(
        every[order],
        np.concatenate(pictures)[order],
        np.concatenate(right, axis=1)[:, order],
        np.array(counts),
    )


def _right(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which detections take a box, at each threshold: [D, 4], [G, 4] -> [T, D]."""
    overlap = overlaps(boxes, truth)
    right = np.zeros((len(THRESHOLDS), len(boxes)), dtype=bool)
    for row, threshold in enumerate(THRESHOLDS):
        free = np.ones(len(truth), dtype=bool)
        for place in range(len(boxes)):
            left = np.where(free, overlap[place], -1.0)
            if len(truth) and left.max() >= threshold:
                free[left.argmax()] = False
                right[row, place] = True
    return right


def average_precision(right: np.ndarray, total: int) -> float:
    """Of detections by falling confidence.

    Args:
        right: shape [D], which of them are right.
        total: boxes that there are, above 0.
    """
    hits = np.cumsum(right)
    recall = hits / total
    precision = hits / np.arange(1, len(right) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, _RECALLS, side="left")
    reached = place < len(right)
    return float(np.where(reached, np.append(falling, 0.0)[place], 0.0).mean())


@dataclass(frozen=True)
class Scores:
    """Figures of a detector on pictures that it did not learn."""

    labels: tuple[str, ...]
    by_class: dict[str, list[float]]  # average precision at each threshold
    matches: dict[str, Matches]

    @property
    def map(self) -> float:
        """Mean over classes and thresholds 0.5 to 0.95."""
        return float(np.mean(list(self.by_class.values())))

    def at(self, threshold: float) -> float:
        """Mean over classes at one threshold."""
        place = THRESHOLDS.index(threshold)
        return float(np.mean([values[place] for values in self.by_class.values()]))

    def shares(self, floor: float) -> dict[str, tuple[int, int]]:
        """Recall and precision at overlap 0.5 of what is at least so confident: (hits, n)."""
        sure = {label: m.confidences >= floor for label, m in self.matches.items()}
        hits = sum(int(m.right[0][sure[label]].sum()) for label, m in self.matches.items())
        said = sum(int(s.sum()) for s in sure.values())
        return {"recall": (hits, self.boxes), "precision": (hits, said)}

    @property
    def boxes(self) -> int:
        """Boxes that there are."""
        return int(sum(m.boxes.sum() for m in self.matches.values()))

    def interval(self, draws: int, seed: int) -> tuple[float, float]:
        """95 % interval of the figure at overlap 0.5, by drawing pictures with replacement."""
        random = np.random.default_rng(seed)
        matches = [m for m in self.matches.values() if m.boxes.sum()]
        count = len(matches[0].boxes)
        values = []
        for _ in range(draws):
            weight = np.bincount(random.integers(0, count, count), minlength=count)
            each = [_drawn(m, weight) for m in matches]
            values.append(float(np.mean([v for v in each if v is not None] or [0.0])))
        low, high = np.quantile(values, [0.025, 0.975])
        return float(low), float(high)

    def curve(self, label: str) -> list[dict[str, Any]]:
        """Precision and recall at overlap 0.5, by falling confidence."""
        m = self.matches[label]
        hits, total = np.cumsum(m.right[0]), max(1, int(m.boxes.sum()))
        return [
            {"label": label, "recall": float(h / total), "precision": float(h / (n + 1))}
            for n, h in enumerate(hits)
        ]


def _drawn(matches: Matches, weight: np.ndarray) -> float | None:
    total = int((matches.boxes * weight).sum())
    if not total:
        return None
    return average_precision(np.repeat(matches.right[0], weight[matches.pictures]), total)


def score(found: Sequence[Found], truth: Sequence[Truth], labels: Sequence[str]) -> Scores:
    """Average precision of each class that occurs.

    Args:
        found: of each picture, all that is at all confident.
        truth: of each picture.
        labels: names of the classes.
    """
    matches = {label: match(found, truth, k) for k, label in enumerate(labels)}
    by_class = {}
    for label, m in matches.items():
        total = int(m.boxes.sum())
        if total:
            by_class[label] = [average_precision(row, total) for row in m.right]
    return Scores(tuple(labels), by_class, matches)
