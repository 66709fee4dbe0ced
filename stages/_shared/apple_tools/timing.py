"""Times as a report tells them: where they lie, and how they spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def summary(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median, quartiles, 95th percentile, least and most, and spread, of times in milliseconds.

    The spread is half the distance of the quartiles over the median: one slow prediction, because
    something else ran, does not move it as it would move a standard deviation.
    """
    times = np.asarray(milliseconds, dtype=np.float64)
    low, median, high, late = (float(v) for v in np.quantile(times, (0.25, 0.5, 0.75, 0.95)))
    return {
        "median_ms": median,
        "quartile_low_ms": low,
        "quartile_high_ms": high,
        "p95_ms": late,
        "min_ms": float(times.min()),
        "max_ms": float(times.max()),
        "spread": (high - low) / 2 / median if median else 0.0,
        "repeats": len(times),
    }
