"""Generalized linear classification.

- Two classes: the one row of weights gives the margin of the second class; its probability is
  the logistic or the normal distribution function of it.
- ReferenceClass with more classes: each class but the first has a row, the first one's margin
  is zero, and probabilities are the softmax of the margins (the multinomial logit).
- OneVsRest with more classes: each class has a row, whose logistic is taken by itself. The
  specification does not say how they become one distribution; here they are divided by their
  sum, as the classifiers do that converters write in this encoding.

The label is that of the greatest probability, the first where several are equal.

Source: Core ML specification, GLMClassifier.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..linear import linear
from ..links import logistic, normal_cdf, softmax
from ..outputs import check_classifier, class_labels, classified

_LOGIT, _PROBIT = 0, 1
_REFERENCE_CLASS, _ONE_VS_REST = 0, 1


@kind("glmClassifier")
def glm_classifier(given: Given) -> Computation:
    """Labels with probabilities that sum to one."""
    check_classifier(given)
    params = given.params
    transform, encoding = params.postEvaluationTransform, params.classEncoding
    if transform not in (_LOGIT, _PROBIT):
        raise given.wrong("unknown transform", transform, (_LOGIT, _PROBIT))
    if encoding not in (_REFERENCE_CLASS, _ONE_VS_REST):
        raise given.wrong("unknown class encoding", encoding, (_REFERENCE_CLASS, _ONE_VS_REST))
    margins, rows = linear(given)
    labels = class_labels(given)
    _check_rows(given, rows, len(labels), encoding)
    if transform == _PROBIT and len(labels) > 2:
        raise given.wrong("probit is for two classes only", len(labels))
    link = normal_cdf if transform == _PROBIT else logistic

    def probabilities(margin: Any) -> Any:
        if len(labels) == 2:
            return np.array([link(-margin[0]), link(margin[0])])
        if encoding == _REFERENCE_CLASS:
            return softmax(np.concatenate([[0.0], margin]))
        each = logistic(margin)
        total = each.sum()
        return each / total if total > 0 else np.full(len(each), 1.0 / len(each))

    def run(values: Mapping[str, Any]) -> Ran:
        margin = margins(values)
        return classified(given, labels, probabilities(margin), between={"margins": margin})

    return Computation(run, labels, ("margins", "scores"), "scores")


def _check_rows(given: Given, rows: int, classes: int, encoding: int) -> None:
    one_less = encoding == _REFERENCE_CLASS or classes == 2
    wanted = classes - 1 if one_less else classes
    if rows != wanted:
        raise given.wrong(
            f"the number of rows of weights does not fit {classes} class labels", rows, (wanted,)
        )
