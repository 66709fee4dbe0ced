"""Estimators that are their family: constants, steps, envelopes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import center
from .ensemble import NONE, regressor, stump
from .frame import Frame
from .graph import Value
from .ops import affine, mb
from .registry import maps, refuse
from .results import Scores, classes_of
from .sk_ensembles import isotonic_steps
from .sk_linear import linear_vector


def _constant(frame: Frame, values: Any) -> Value:
    """The same vector whatever the input."""
    nothing = stump(0, 0.0, np.zeros(1), np.zeros(1))
    return regressor(frame, [nothing], values, NONE, missing=True)


@maps("regressor", "DummyRegressor", how="tree ensemble without a question")
def dummy_regressor(estimator: Any, frame: Frame) -> Value:
    """A constant."""
    return _constant(frame, np.ravel(estimator.constant_))


@maps("classifier", "DummyClassifier", how="tree ensemble without a question")
def dummy_classifier(estimator: Any, frame: Frame) -> Scores:
    """The priors, or one class."""
    count, strategy = len(classes_of(estimator)), estimator.strategy
    if strategy in ("stratified", "uniform"):
        raise Problem(f"DummyClassifier with strategy='{strategy}' draws lots, a model does not")
    best = int(np.argmax(estimator.class_prior_))
    if strategy == "constant":
        best = int(np.flatnonzero(estimator.classes_ == np.ravel(estimator.constant)[0])[0])
    values = estimator.class_prior_ if strategy == "prior" else np.eye(count)[best]
    return Scores(_constant(frame, values))


@maps("regressor", "IsotonicRegression", how="ML Program: a sum of clipped ramps")
def isotonic_regressor(estimator: Any, frame: Frame) -> Value:
    """Steps between thresholds, constant beyond them."""
    if estimator.out_of_bounds != "clip":
        raise Problem(
            f"IsotonicRegression with out_of_bounds='{estimator.out_of_bounds}' is not mapped",
            hint="out_of_bounds='clip' is",
        )
    points = np.asarray(estimator.X_thresholds_, np.float64)
    x = center(frame.graph, frame.vector(), [points.mean()])
    build = isotonic_steps(points - points.mean(), np.asarray(estimator.y_thresholds_, np.float64))
    return frame.graph.compute("steps", x, 1, build)


@maps("transformer", "IsotonicRegression", how="ML Program: a sum of clipped ramps")
def isotonic_transformer(estimator: Any, frame: Frame) -> Frame:
    """The same as a feature."""
    return Frame.of(frame.graph, isotonic_regressor(estimator, frame))


@maps("detector", "EllipticEnvelope", how="ML Program: the Mahalanobis distance")
def elliptic_envelope(estimator: Any, frame: Frame) -> Value:
    """The distance below zero, less the offset."""
    precision = np.asarray(estimator.precision_, np.float64)
    values, vectors = np.linalg.eigh(precision)
    turn = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    x = center(frame.graph, frame.vector(), estimator.location_)
    offset = np.float32(estimator.offset_)

    def build(x: Any) -> Any:
        turned = affine(x, turn)
        square = mb.reduce_sum(x=mb.mul(x=turned, y=turned), axes=[0], keep_dims=True)
        return mb.sub(x=mb.mul(x=square, y=np.float32(-1)), y=offset)

    return frame.graph.compute("normality", x, 1, build)


@maps("detector", "SGDOneClassSVM", how="GLM regressor, whose sign decides")
def linear_one_class(estimator: Any, frame: Frame) -> Value:
    """A linear decision."""
    return linear_vector(frame, estimator.coef_, -estimator.offset_)


refuse(
    "it predicts several labels at once, a Core ML classifier has one",
    "MultiOutputClassifier", "ClassifierChain",
)  # fmt: skip
