"""Comparisons of float32 numbers as comparisons of doubles.

scikit-learn's trees and XGBoost round an input to float32 before they compare it; a Core ML tree
may get a double. A threshold can be chosen so that the comparison in doubles answers as the rounded
one does for every double, and so that the threshold itself, rounded to float32, is the original.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def at_most(threshold: Any) -> Any:
    """T with ``x <= T`` just where ``float32(x) <= threshold``, for float64 thresholds [n]."""
    threshold = np.asarray(threshold, np.float64)
    with np.errstate(over="ignore"):
        low = threshold.astype(np.float32)
        low = np.where(low > threshold, np.nextafter(low, np.float32(-np.inf)), low)
        high = np.nextafter(low, np.float32(np.inf))
    middle = _middle(low, high)
    # The middle itself is rounded to the neighbour whose last bit is even.
    return np.where(_even(low), middle, np.nextafter(middle, -np.inf))


def below(threshold: Any) -> Any:
    """T with ``x < T`` just where ``float32(x) < threshold``, for float32 thresholds [n]."""
    high = np.asarray(threshold, np.float32)
    low = np.nextafter(high, np.float32(-np.inf))
    middle = _middle(low, high)
    return np.where(_even(high), middle, np.nextafter(middle, np.inf))


def _middle(low: Any, high: Any) -> Any:
    low, high = low.astype(np.float64), high.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(low) & np.isfinite(high), low + (high - low) / 2, high)


def _even(values: Any) -> Any:
    return (np.asarray(values, np.float32).view(np.int32) & 1) == 0
