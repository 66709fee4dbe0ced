"""Support vector classification, one class against each other one.

For each pair of classes i < j the decision is the sum, over the support vectors of both, of
coefficient times kernel, less the pair's rho. A support vector of class i has its coefficient
against class j in row j - 1 where j > i, and in row j where j < i.

Without ``probA`` and ``probB`` the label is the one that wins most pairs, the first of equal
ones; i wins where the decision is positive. With them a pair's probability is
1 / (1 + exp(A decision + B)), kept 1e-7 away from 0 and 1; more than two classes are coupled,
two classes are not; and the label is the most probable one. The specification names neither the
clipping nor that the label follows the probabilities: both are how LIBSVM predicts.

Source: Core ML specification, SVM.proto (SupportVectorClassifier); Chang and Lin, LIBSVM: A
Library for Support Vector Machines, 2011, sections 7 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from ...body import Ran
from ..coupling import couple
from ..kernels import read_kernel
from ..kind import Computation, Given, kind
from ..links import logistic
from ..outputs import check_classifier, class_labels, classified
from ..vectors import vectorizer

_CLOSEST = 1e-7


@kind("supportVectorClassifier")
def svm_classifier(given: Given) -> Computation:
    """Labels; with their probabilities where the model was trained for them."""
    check_classifier(given)
    labels = class_labels(given)
    count = len(labels)
    pairs = list(combinations(range(count), 2))
    kernel, vectors, width = read_kernel(given)
    rho = _per_pair(given, "rho", len(pairs))
    decide = _decisions(given, count, vectors, pairs, rho)
    probable = _probabilities(given, pairs, count)
    if probable is None and given.description.predicted_probabilities:
        raise given.wrong("probabilities are described, but there are no probA and probB")
    vectorize = vectorizer(given, width)
    first, second = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))

    def run(values: Mapping[str, Any]) -> Ran:
        decisions = decide(kernel(vectorize(values)))
        winners = np.where(decisions > 0, first, second)
        votes = np.bincount(winners, minlength=count)
        scores = votes if probable is None else probable(decisions)
        return classified(given, labels, scores, between={"decisions": decisions})

    return Computation(run, labels, ("decisions", "scores"), "scores")


def _decisions(
    given: Given, classes: int, vectors: int, pairs: list[tuple[int, int]], rho: Any
) -> Callable[[Any], Any]:
    params = given.params
    sizes = list(params.numberOfSupportVectorsPerClass)
    if len(sizes) != classes:
        raise given.wrong(
            "numberOfSupportVectorsPerClass does not fit the class labels", len(sizes), (classes,)
        )
    if min(sizes) < 0 or sum(sizes) != vectors:
        raise given.wrong(
            "numberOfSupportVectorsPerClass does not sum to the support vectors", sizes, (vectors,)
        )
    rows = [row.alpha for row in params.coefficients]
    if len(rows) != classes - 1 or any(len(row) != vectors for row in rows):
        raise given.wrong(
            "coefficients of the wrong size",
            f"rows of {sorted({len(row) for row in rows})}, {len(rows)} of them",
            (f"rows of {vectors}, {classes - 1} of them",),
        )
    weights = np.array(rows, np.float64).reshape(len(rows), vectors)
    segments = list(pairwise(np.concatenate([[0], np.cumsum(sizes)]).tolist()))
    first = np.array([i for i, _ in pairs], np.int64)
    second = np.array([j for _, j in pairs], np.int64)

    def decide(kernel: Any) -> Any:
        # [row of coefficients, class]: what the support vectors of a class contribute
        parts = np.stack([weights[:, a:b] @ kernel[a:b] for a, b in segments], axis=1)
        return parts[second - 1, first] + parts[first, second] - rho

    return decide


def _probabilities(
    given: Given, pairs: list[tuple[int, int]], classes: int
) -> Callable[[Any], Any] | None:
    if not given.params.probA and not given.params.probB:
        return None
    a = _per_pair(given, "probA", len(pairs))
    b = _per_pair(given, "probB", len(pairs))
    first = np.array([i for i, _ in pairs], np.int64)
    second = np.array([j for _, j in pairs], np.int64)

    def probable(decisions: Any) -> Any:
        of_first = np.clip(logistic(-(a * decisions + b)), _CLOSEST, 1 - _CLOSEST)
        if classes == 2:
            return np.array([of_first[0], 1 - of_first[0]])
        matrix = np.zeros((classes, classes))
        matrix[first, second], matrix[second, first] = of_first, 1 - of_first
        return couple(matrix)

    return probable


def _per_pair(given: Given, field: str, pairs: int) -> Any:
    values = np.array(getattr(given.params, field), np.float64)
    if len(values) != pairs:
        raise given.wrong(
            f"{field} has not one value for each pair of classes", len(values), (pairs,)
        )
    return values
