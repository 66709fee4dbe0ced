"""Support vector machines with kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import vectorize
from .frame import Frame
from .graph import Value
from .kernels import dense
from .ops import mb
from .registry import maps, whole
from .results import Scores, binary_pair
from .support_vectors import Machine, classify, decision


def machine_of(estimator: Any, pairs: bool = False) -> Machine:
    """scikit-learn keeps LIBSVM's own numbers under names with an underscore in front."""
    weights, offsets = dense(estimator._dual_coef_), np.asarray(estimator._intercept_, np.float64)
    return Machine(
        kernel=estimator.kernel,
        gamma=float(estimator._gamma),
        coef0=float(estimator.coef0),
        degree=int(estimator.degree),
        vectors=dense(estimator.support_vectors_),
        weights=weights,
        rho=-offsets,
        counts=estimator.n_support_ if pairs else (),
        prob_a=getattr(estimator, "_probA", None) if pairs else None,
        prob_b=getattr(estimator, "_probB", None) if pairs else None,
    )


@maps("regressor", "SVR", "NuSVR", how="support vector regressor")
def svm_regressor(estimator: Any, frame: Frame) -> Value:
    """One number."""
    return decision(frame, machine_of(estimator))


@maps("detector", "OneClassSVM", how="support vector regressor, whose sign decides")
def one_class(estimator: Any, frame: Frame) -> Value:
    """The decision function."""
    return vectorize(frame.graph, [decision(frame, machine_of(estimator))])


@maps("classifier", "SVC", "NuSVC",
      how="support vector classifier: the label by votes as scikit-learn, probabilities beside it")  # fmt: skip
def svm_scores(estimator: Any, frame: Frame) -> Scores:
    """Decisions or probabilities of two classes."""
    if len(estimator.classes_) != 2:
        raise Problem(
            f"{type(estimator).__name__} of {len(estimator.classes_)} classes inside of another "
            "estimator is not mapped to Core ML",
            hint="it is as the last step; or take OneVsRestClassifier(SVC())",
        )
    inner = vectorize(frame.graph, [decision(frame, machine_of(estimator))])
    # LIBSVM counts for the first class, scikit-learn's decisions for the second.
    decisions = frame.graph.compute("d", inner, 1, lambda d: mb.mul(x=d, y=np.float32(-1)))
    pair = binary_pair(frame, decisions)
    if not estimator.probability:
        return Scores(pair, probable=False)
    a, b = float(estimator._probA[0]), float(estimator._probB[0])

    def build(d: Any) -> Any:
        exponent = mb.add(x=mb.mul(x=d, y=np.float32(a)), y=np.float32(b))
        both = mb.concat(values=[mb.mul(x=exponent, y=np.float32(-1)), exponent], axis=0)
        low, high = np.float32(1e-7), np.float32(1 - 1e-7)  # as LIBSVM keeps them
        return mb.clip(x=mb.sigmoid(x=both), alpha=low, beta=high)

    return Scores(frame.graph.compute("probabilities", inner, 2, build), decide=pair)


@whole("SVC", "NuSVC")
def svm_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """Votes decide; with probabilities a second machine tells them.

    Core ML's label would follow the probabilities, scikit-learn's does not: they may differ.
    """
    if estimator.break_ties and len(labels) > 2:
        raise Problem("break_ties=True has no counterpart in Core ML", hint="train without it")
    machine = machine_of(estimator, pairs=True)
    label, _ = classify(frame, machine, labels, probable=False)
    if not estimator.probability:
        return label, None
    return label, classify(frame, machine, labels, probable=True)[1]
