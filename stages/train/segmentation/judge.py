"""How well pixels are named: intersection over union of each class, by drawing pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .masks import IGNORED


@dataclass(frozen=True)
class Verdict:
    """Counts of pixels; rows are true classes, columns those that were said."""

    confusion: np.ndarray  # [N, K, K], of each picture

    @property
    def total(self) -> np.ndarray:
        """Over all pictures, [K, K]."""
        return self.confusion.sum(axis=0)

    def interval(self, draws: int, seed: int) -> tuple[float, float]:
        """95 % interval of the mean intersection over union."""
        random, count = np.random.default_rng(seed), len(self.confusion)
        values = [
            mean_iou(self.confusion[random.integers(0, count, count)].sum(axis=0))
            for _ in range(draws)
        ]
        low, high = np.quantile(values, [0.025, 0.975])
        return float(low), float(high)


def count(said: np.ndarray, truth: np.ndarray, classes: int) -> Verdict:
    """Hold predicted classes against true ones, both [N, H, W]."""
    rows = []
    for ours, real in zip(said, truth, strict=True):
        known = real != IGNORED
        pairs = real[known].astype(np.int64) * classes + ours[known]
        rows.append(np.bincount(pairs, minlength=classes**2).reshape(classes, classes))
    return Verdict(np.stack(rows))


def iou(confusion: np.ndarray) -> np.ndarray:
    """Of each class, [K, K] -> [K]; NaN for one that neither occurs nor is said."""
    right = np.diag(confusion).astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return np.where(union > 0, right / np.where(union > 0, union, 1), np.nan)


def mean_iou(confusion: np.ndarray) -> float:
    """Over the classes that occur or are said."""
    return float(np.nanmean(iou(confusion)))
