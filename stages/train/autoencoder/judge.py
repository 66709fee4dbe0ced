"""How well anomalies are told from normal pictures by one score.

Sources: Hanley and McNeil, "The meaning and use of the area under a receiver operating
characteristic (ROC) curve" (1982), for the area as a chance and for its error.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

_Z95 = 1.959963984540054


def roc_auc(normal: np.ndarray, other: np.ndarray) -> float:
    """Chance that one of ``other`` scores higher than one of ``normal``; ties count half."""
    order = np.concatenate([normal, other])
    _, places, counts = np.unique(order, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]  # of equal values their mean
    wins = ranks[len(normal) :].sum() - len(other) * (len(other) + 1) / 2
    return float(wins / (len(normal) * len(other)))


def interval(area: float, normal: int, other: int) -> tuple[float, float]:
    """95 % interval of an area."""
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (other - 1) * (q1 - area**2) + (normal - 1) * (q2 - area**2)
    half = _Z95 * sqrt(max(0.0, spread) / (normal * other))
    return max(0.0, area - half), min(1.0, area + half)


def curve(normal: np.ndarray, other: np.ndarray, most: int = 200) -> list[dict[str, Any]]:
    """Detected anomalies by false alarms, at thresholds between the scores."""
    levels = np.unique(np.concatenate([normal, other]))[::-1]
    if len(levels) > most:
        levels = levels[np.linspace(0, len(levels) - 1, most).round().astype(int)]
    return [
        {
            "false_alarms": float((normal >= level).mean()),
            "detected": float((other >= level).mean()),
        }
        for level in levels
    ]


def psnr(wanted: np.ndarray, got: np.ndarray) -> float:
    """Peak signal to noise ratio of pictures from 0 to 1, in dB; 100 stands for more."""
    noise = float(np.mean((wanted.astype(np.float64) - got) ** 2))
    return min(100.0, -10 * float(np.log10(noise))) if noise else 100.0
