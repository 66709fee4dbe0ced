"""Which rows are known to be anomalies."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from ..tables.words import shown, suggestion
from .data import Data, Given


def anomalous_rows(params: Any, given: Given, asked: Data) -> np.ndarray | None:
    """True where the target's label means an anomaly, shape [N]; None where nothing is known.

    Raises:
        Problem: the target has no such label.
    """
    if not params.anomalous:
        return None
    labels = [str(label) for label in given.labels or ()]
    for name in params.anomalous:
        if name not in labels:
            raise Problem(
                f"anomalous: '{params.target}' has no label '{name}', it has {shown(labels)}",
                hint=suggestion(name, labels),
            )
    return np.isin(asked.truth, [labels.index(name) for name in params.anomalous])
