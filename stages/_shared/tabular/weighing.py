"""Weights of rows."""

from __future__ import annotations

import numpy as np

from .data import Data


def row_weights(data: Data, balanced: bool, labels: int) -> np.ndarray | None:
    """The column of weights, times what makes each label count the same; None if all are 1."""
    if not balanced:
        return data.weight
    assert data.truth is not None
    counts = np.maximum(np.bincount(data.truth, minlength=labels), 1)
    factor = (len(data) / ((counts > 0).sum() * counts))[data.truth]
    return factor if data.weight is None else factor * data.weight
