"""Weights times inputs plus offset, for both generalized linear models.

Source: Core ML specification, GLMRegressor.proto and GLMClassifier.proto (weights, offset).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kind import Given
from .vectors import Vectorize, vectorizer


def linear(given: Given) -> tuple[Vectorize, int]:
    """What computes the margins, float64 [rows], and the number of rows."""
    rows = [row.value for row in given.params.weights]
    if not rows or not len(rows[0]):
        raise given.wrong("there are no weights")
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise given.wrong("rows of weights of different lengths", lengths)
    if len(rows) != len(given.params.offset):
        raise given.wrong(
            "the number of offsets is not that of the rows of weights",
            len(given.params.offset),
            (len(rows),),
        )
    weights = np.array(rows, np.float64)
    offset = np.array(given.params.offset, np.float64)
    vectorize = vectorizer(given, weights.shape[1])

    def margins(values: Any) -> Any:
        return weights @ vectorize(values) + offset

    return margins, len(rows)
