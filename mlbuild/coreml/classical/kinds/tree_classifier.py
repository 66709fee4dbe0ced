"""Classification by an ensemble of trees.

How the sums of leaf values become scores:

- NoTransform: they are the scores, whatever they sum to. One sum for two classes is the score
  of the second class, and the first one's is one less it.
- Classification_SoftMax: their softmax, a sum for each class.
- Regression_Logistic: the logistic of each; one sum for two classes as above.
- Classification_SoftMaxWithZeroClassReference: the softmax with a zero before them, so that
  there is one sum less than classes.

The label is that of the greatest score, the first where several are equal; but where one sum
decides between two classes, a score of exactly one half means the second class. The
specification is silent about it; coremltools' converter of scikit-learn trees, where such a tie
means the first class, moves leaves of one half down by 1e-7.

Source: Core ML specification, TreeEnsemble.proto (TreeEnsembleClassifier,
TreeEnsemblePostEvaluationTransform).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..links import logistic, softmax
from ..outputs import check_classifier, class_labels, classified
from ..trees import read_trees
from ..vectors import vectorizer

_NONE, _SOFTMAX, _LOGISTIC, _ZERO_REFERENCE = range(4)


@kind("treeEnsembleClassifier")
def tree_classifier(given: Given) -> Computation:
    """Labels and scores, which are probabilities if the transform makes such."""
    check_classifier(given)
    trees = read_trees(given)
    labels = class_labels(given)
    scored = _scored(given, len(trees.base), len(labels))
    alone = len(trees.base) == 1 and len(labels) == 2
    vectorize = vectorizer(given)

    def run(values: Mapping[str, Any]) -> Ran:
        margin = trees.evaluate(vectorize(values))
        scores = scored(margin)
        best = int(scores[1] >= 0.5) if alone else None
        return classified(given, labels, scores, best, {"margins": margin})

    return Computation(run, labels, ("margins", "scores"), "scores")


def _scored(given: Given, dimensions: int, classes: int) -> Callable[[Any], Any]:
    transform = given.params.postEvaluationTransform
    if not _NONE <= transform <= _ZERO_REFERENCE:
        raise given.wrong("unknown transform", transform, tuple(range(4)))
    alone = dimensions == 1 and classes == 2
    wanted = classes - 1 if transform == _ZERO_REFERENCE else classes
    if dimensions != wanted and not (alone and transform in (_NONE, _LOGISTIC)):
        raise given.wrong(
            f"the number of prediction dimensions does not fit {classes} class labels",
            dimensions,
            (wanted,),
        )
    if transform == _ZERO_REFERENCE:
        return lambda x: softmax(np.concatenate([[0.0], x]))
    if transform == _SOFTMAX:
        return softmax
    if transform == _LOGISTIC:
        return lambda x: np.array([logistic(-x[0]), logistic(x[0])]) if alone else logistic(x)
    return lambda x: np.array([1.0 - x[0], x[0]]) if alone else x
