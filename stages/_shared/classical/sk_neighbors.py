"""Nearest neighbours: distances to all stored samples in an ML Program."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import center
from .frame import Frame
from .graph import Value
from .kernels import dense
from .ops import affine, const, mb, one_minus, row, select, squared_distances, sum_rows
from .registry import maps, refuse
from .results import Scores, classes_of

_EUCLIDEAN = ("euclidean", "l2", "minkowski", "sqeuclidean", "seuclidean")


def samples_of(estimator: Any) -> Any:
    """The stored samples, float64 [n, d]."""
    return dense(estimator._fit_X)


def centred(frame: Frame, samples: Any) -> tuple[Value, Any, Any]:
    """The input less the samples' mean, the samples less it, and the mean."""
    mean = samples.mean(axis=0)
    return center(frame.graph, frame.vector(), mean), samples - mean, mean


def distances(x: Any, points: Any, estimator: Any, mean: Any) -> Any:
    """From x (less the mean) to points (less it), by the estimator's metric: [n]."""
    metric, power = _metric(estimator)
    if metric == "cosine":
        points, x = points + mean, mb.add(x=x, y=const(mean))
        length = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-300)
        size = mb.sqrt(x=mb.reduce_sum(x=mb.mul(x=x, y=x), axes=[0], keep_dims=True))
        unit = mb.real_div(x=x, y=select(mb.greater(x=size, y=np.float32(0)), size, 1.0))
        # 1 - cos is half the squared chord, which loses nothing where directions are alike.
        return mb.mul(x=squared_distances(unit, points / length), y=np.float32(0.5))
    if power == 2:
        squares = squared_distances(x, points)
        return squares if metric == "sqeuclidean" else mb.sqrt(x=squares)
    difference = mb.abs(x=mb.sub(x=row(x), y=const(points)))
    if power == 1:
        return sum_rows(difference)
    if np.isinf(power):
        return mb.reduce_max(x=difference, axes=[1], keep_dims=False)
    total = sum_rows(mb.pow(x=difference, y=np.float32(power)))
    return mb.pow(x=total, y=np.float32(1.0 / power))


def _metric(estimator: Any) -> tuple[str, float]:
    metric = getattr(estimator, "effective_metric_", getattr(estimator, "metric", "euclidean"))
    params = getattr(estimator, "effective_metric_params_", None) or {}
    if metric == "cosine":
        return "cosine", 2.0
    powers = {"manhattan": 1.0, "cityblock": 1.0, "l1": 1.0, "chebyshev": np.inf}
    if metric in powers:
        return metric, powers[metric]
    if metric in _EUCLIDEAN and metric != "seuclidean" and params.get("w") is None:
        return metric, float(params.get("p", 2)) if metric == "minkowski" else 2.0
    raise Problem(
        f"the metric {metric!r} is not mapped to Core ML",
        hint="euclidean, minkowski, manhattan, chebyshev and cosine are",
    )


def _weights(estimator: Any, near: Any) -> Any:
    """How the nearest vote: alike, or by the inverse of their distance."""
    if estimator.weights in ("uniform", None):
        return np.ones(near.shape, np.float32)
    if estimator.weights != "distance":
        raise Problem(f"{type(estimator).__name__} weighs by a function of its own, which is code")
    exact = mb.equal(x=near, y=np.float32(0))
    hits = mb.cast(x=exact, dtype="fp32")
    any_hit = mb.greater(x=mb.reduce_max(x=hits, axes=[0], keep_dims=True), y=np.float32(0))
    inverse = mb.real_div(x=np.float32(1), y=select(exact, 1.0, near))
    # A sample at distance zero outvotes all others.
    found = mb.cast(x=any_hit, dtype="fp32")
    return mb.add(x=mb.mul(x=found, y=hits), y=mb.mul(x=one_minus(found), y=inverse))


def _nearest(x: Any, points: Any, estimator: Any, mean: Any) -> tuple[Any, Any]:
    far = distances(x, points, estimator, mean)
    return mb.topk(x=far, k=int(estimator.n_neighbors), axis=0, ascending=True)


def _averaged(estimator: Any, frame: Frame, targets: Any) -> Value:
    """The weighted mean of the neighbours' rows of targets [n, m]."""
    x, points, mean = centred(frame, samples_of(estimator))
    targets = const(targets)

    def build(x: Any) -> Any:
        near, which = _nearest(x, points, estimator, mean)
        weights = _weights(estimator, near)
        chosen = mb.gather(x=targets, indices=which, axis=0)
        weighed = mb.mul(x=chosen, y=mb.expand_dims(x=weights, axes=[1]))
        total = mb.reduce_sum(x=weights, axes=[0], keep_dims=True)
        return mb.real_div(x=mb.reduce_sum(x=weighed, axes=[0], keep_dims=False), y=total)

    return frame.graph.compute("neighbors", x, targets.shape[1], build)


_HOW = "ML Program: distances to all samples, the nearest by top-k, their votes or mean"


@maps("classifier", "KNeighborsClassifier", how=_HOW)
def neighbors_classifier(estimator: Any, frame: Frame) -> Scores:
    """Shares of the votes."""
    count = len(classes_of(estimator))
    return Scores(_averaged(estimator, frame, np.eye(count)[np.ravel(estimator._y)]))


@maps("regressor", "KNeighborsRegressor", how=_HOW)
def neighbors_regressor(estimator: Any, frame: Frame) -> Value:
    """The mean of the neighbours' targets."""
    targets = np.asarray(estimator._y, float).reshape(len(estimator._y), -1)
    middle = targets.mean(axis=0)  # float32 keeps what stands out from the mean
    value = _averaged(estimator, frame, targets - middle)
    return shifted(frame, value, middle)


def shifted(frame: Frame, value: Value, by: Any) -> Value:
    """A program's result plus a constant, in doubles."""
    return center(frame.graph, value, -np.asarray(by))


@maps(
    "regressor", "RadiusNeighborsRegressor", how="ML Program: the mean of samples within the radius"
)
def radius_regressor(estimator: Any, frame: Frame) -> Value:
    """The mean of the targets within the radius; none within it gives NaN."""
    x, points, mean = centred(frame, samples_of(estimator))
    targets = np.asarray(estimator._y, float).reshape(len(estimator._y), -1)
    middle = targets.mean(axis=0)
    if estimator.weights not in ("uniform", None):
        raise Problem("RadiusNeighborsRegressor is mapped with weights='uniform' only")

    def build(x: Any) -> Any:
        near = mb.less_equal(
            x=distances(x, points, estimator, mean), y=np.float32(estimator.radius)
        )
        inside = mb.cast(x=near, dtype="fp32")
        total = mb.reduce_sum(x=inside, axes=[0], keep_dims=True)
        return mb.real_div(x=affine(inside, (targets - middle).T), y=total)

    value = frame.graph.compute("neighbors", x, targets.shape[1], build)
    return shifted(frame, value, middle)


@maps("classifier", "NearestCentroid", how="ML Program; the scores are distances below zero")
def nearest_centroid(estimator: Any, frame: Frame) -> Scores:
    """The nearest centre; scikit-learn has no probabilities here."""
    x, points, mean = centred(frame, np.asarray(estimator.centroids_, float))

    def build(x: Any) -> Any:
        return mb.mul(x=distances(x, points, estimator, mean), y=np.float32(-1))

    return Scores(frame.graph.compute("nearness", x, len(points), build), probable=False)


@maps(
    "detector",
    "LocalOutlierFactor",
    how="ML Program: reachability of the nearest by top-k and gather",
)
def local_outlier_factor(estimator: Any, frame: Frame) -> Value:
    """The decision function of a model with novelty=True."""
    if not estimator.novelty:
        raise Problem(
            "LocalOutlierFactor without novelty=True only judges its own training data",
            hint="train it with novelty=True",
        )
    x, points, mean = centred(frame, samples_of(estimator))
    count = int(estimator.n_neighbors_)
    reach = const(estimator._distances_fit_X_[:, count - 1])
    density = const(estimator._lrd)
    offset = np.float32(estimator.offset_)

    def build(x: Any) -> Any:
        far = distances(x, points, estimator, mean)
        near, which = mb.topk(x=far, k=count, axis=0, ascending=True)
        reached = mb.maximum(x=near, y=mb.gather(x=reach, indices=which, axis=0))
        own = mb.add(x=mb.reduce_mean(x=reached, axes=[0], keep_dims=True), y=np.float32(1e-10))
        others = mb.reduce_mean(
            x=mb.gather(x=density, indices=which, axis=0), axes=[0], keep_dims=True
        )
        factor = mb.mul(x=mb.mul(x=others, y=own), y=np.float32(-1))
        return mb.sub(x=factor, y=offset)

    return frame.graph.compute("normality", x, 1, build)


refuse(
    "it has no prediction of its own",
    "NearestNeighbors", "KNeighborsTransformer", "RadiusNeighborsTransformer", "KernelDensity",
)  # fmt: skip
refuse("it weighs all labelled samples by a graph", "LabelPropagation", "LabelSpreading")
