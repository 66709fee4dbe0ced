"""Generalized linear regression.

``transform(weights @ x + offset)``, one row of weights for each predicted number.

Source: Core ML specification, GLMRegressor.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...body import Ran
from ..kind import Computation, Given, kind
from ..linear import linear
from ..links import logistic, normal_cdf
from ..outputs import check_regressor

_TRANSFORMS: dict[int, Callable[[Any], Any]] = {0: lambda x: x, 1: logistic, 2: normal_cdf}


@kind("glmRegressor")
def glm_regressor(given: Given) -> Computation:
    """Predicts one number, or as many as there are rows of weights."""
    margins, rows = linear(given)
    name = check_regressor(given, rows)
    transform = _TRANSFORMS.get(given.params.postEvaluationTransform)
    if transform is None:
        raise given.wrong("unknown transform", given.params.postEvaluationTransform, (0, 1, 2))

    def run(values: Mapping[str, Any]) -> Ran:
        margin = margins(values)
        return Ran({name: transform(margin)}, {"margins": margin})

    return Computation(run, values=("margins",))
