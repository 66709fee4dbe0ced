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
from .ops import gather, mb
from .registry import maps, whole
from .results import Scores, binary_pair, tail
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


@maps(
    "classifier",
    "SVC",
    "NuSVC",
    how="support vector classifier: the label by votes as scikit-learn, probabilities beside it",
)
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
        return _coupled(mb.clip(x=mb.sigmoid(x=both), alpha=low, beta=high))

    return Scores(frame.graph.compute("probabilities", inner, 2, build), decide=pair)


def _coupled(pair: Any) -> Any:
    """The probabilities of two classes as scikit-learn's LIBSVM iterates for them.

    It starts from one half each and stops as soon as it is near (0.0025), so that 0.504 stays one
    half. Two rounds reach that from anywhere; four are unrolled.
    """
    first, second = gather(pair, [0]), gather(pair, [1])
    q = [mb.mul(x=second, y=second), mb.mul(x=first, y=first)]
    cross = mb.mul(x=mb.mul(x=first, y=second), y=np.float32(-1))
    p = [np.full(1, 0.5, np.float32), np.full(1, 0.5, np.float32)]
    for _ in range(4):
        towards = _products(q, cross, p)
        value = _dot(p, towards)
        error = mb.maximum(
            x=mb.abs(x=mb.sub(x=towards[0], y=value)), y=mb.abs(x=mb.sub(x=towards[1], y=value))
        )
        done = mb.less(x=error, y=np.float32(0.0025))
        new = list(p)
        for place in (0, 1):
            towards = _products(q, cross, new)
            change = mb.real_div(x=mb.sub(x=_dot(new, towards), y=towards[place]), y=q[place])
            new[place] = mb.add(x=new[place], y=change)
            total = mb.add(x=new[0], y=new[1])
            new = [mb.real_div(x=n, y=total) for n in new]
        p = [mb.select(cond=done, a=old, b=n) for old, n in zip(p, new, strict=True)]
    return mb.concat(values=p, axis=0)


def _products(q: list[Any], cross: Any, p: list[Any]) -> list[Any]:
    return [mb.add(x=mb.mul(x=q[i], y=p[i]), y=mb.mul(x=cross, y=p[1 - i])) for i in (0, 1)]


def _dot(p: list[Any], values: list[Any]) -> Any:
    return mb.add(x=mb.mul(x=p[0], y=values[0]), y=mb.mul(x=p[1], y=values[1]))


@whole("SVC", "NuSVC")
def svm_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """Votes decide; with probabilities a second machine tells them.

    Core ML's label would follow the probabilities, scikit-learn's does not: they may differ.
    """
    if estimator.break_ties and len(labels) > 2:
        raise Problem("break_ties=True has no counterpart in Core ML", hint="train without it")
    if estimator.probability and len(labels) == 2:
        label, scores = tail(frame, svm_scores(estimator, frame), labels)
        return label, scores
    machine = machine_of(estimator, pairs=True)
    label, _ = classify(frame, machine, labels, probable=False)
    if not estimator.probability:
        return label, None
    return label, classify(frame, machine, labels, probable=True)[1]
