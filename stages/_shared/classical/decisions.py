"""Decision functions of classifiers that also have probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .ensemble import regressor
from .frame import Frame
from .graph import Value
from .results import binary_pair
from .sk_compose import unwrap
from .sk_linear import linear_vector
from .sk_trees import boosted_trees, first_guess

_LINEAR = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "SGDClassifier",
    "LinearDiscriminantAnalysis",
)


def decision_function(estimator: Any, frame: Frame) -> Value:
    """What ``decision_function`` gives, one for each class; two classes as [-d, d]."""
    inner, frame = unwrap(estimator, frame)
    name = type(inner).__name__
    if name in _LINEAR:
        value = linear_vector(frame, np.atleast_2d(inner.coef_), inner.intercept_)
    elif name == "GradientBoostingClassifier":
        base = first_guess(inner, inner.estimators_.shape[1])
        value = regressor(frame, boosted_trees(inner, 1.0), base)
    else:
        raise Problem(f"calibration on the decisions of {name} is not mapped to Core ML")
    return binary_pair(frame, value) if value.width == 1 else value
