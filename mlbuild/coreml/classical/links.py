"""The functions that turn a linear prediction into a probability.

Source: Core ML specification, GLMRegressor.proto, GLMClassifier.proto and TreeEnsemble.proto
(post-evaluation transforms); the formulas are those of generalized linear models.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def logistic(x: Any) -> Any:
    """1 / (1 + exp(-x)), without overflow, for an array of any shape."""
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def normal_cdf(x: Any) -> Any:
    """The cumulative distribution function of the standard normal, for an array of any shape."""
    x = np.asarray(x, np.float64)
    values = [0.5 * math.erfc(-item / math.sqrt(2.0)) for item in x.reshape(-1).tolist()]
    return np.array(values).reshape(x.shape)


def softmax(x: Any) -> Any:
    """exp(x) divided by its sum, for a vector."""
    shifted = np.exp(np.asarray(x, np.float64) - np.max(x))
    return shifted / shifted.sum()
