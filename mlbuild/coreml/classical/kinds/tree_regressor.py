"""Regression by an ensemble of trees.

Source: Core ML specification, TreeEnsemble.proto (TreeEnsembleRegressor).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..links import logistic, softmax
from ..outputs import check_regressor
from ..trees import read_trees
from ..vectors import vectorizer

_TRANSFORMS: dict[int, Callable[[Any], Any]] = {
    0: lambda x: x,
    1: softmax,
    2: logistic,
    3: lambda x: softmax(np.concatenate([[0.0], x])),
}


@kind("treeEnsembleRegressor")
def tree_regressor(given: Given) -> Computation:
    """Predicts a number, or as many as the ensemble has dimensions."""
    trees = read_trees(given)
    number = given.params.postEvaluationTransform
    if (transform := _TRANSFORMS.get(number)) is None:
        raise given.wrong("unknown transform", number, tuple(_TRANSFORMS))
    name = check_regressor(given, len(transform(trees.base)))
    vectorize = vectorizer(given)

    def run(values: Mapping[str, Any]) -> Ran:
        margin = trees.evaluate(vectorize(values))
        return Ran({name: transform(margin)}, {"margins": margin})

    return Computation(run, values=("margins",))
