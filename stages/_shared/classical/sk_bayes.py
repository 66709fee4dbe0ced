"""Naive Bayes and discriminant analysis."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import center
from .frame import Frame
from .graph import Value
from .lookup import Table, look_up
from .ops import affine, const, mb, row, sum_rows
from .registry import maps
from .results import Scores, logistic_pair, softmax
from .sk_linear import linear_vector
from .sk_scaling import binarizer


@maps("classifier", "GaussianNB", how="ML Program: squares of centred columns, softmax")
def gaussian_nb(estimator: Any, frame: Frame) -> Scores:
    """The normal distributions' densities and the priors."""
    means, variances = np.asarray(estimator.theta_), np.asarray(estimator.var_)
    middle = means.mean(axis=0)
    x = center(frame.graph, frame.vector(), middle)
    constant = np.log(estimator.class_prior_) - 0.5 * np.log(2 * np.pi * variances).sum(axis=1)
    constant = constant - constant.max()

    def build(x: Any) -> Any:
        far = mb.mul(x=mb.sub(x=row(x), y=const(means - middle)), y=const(1 / np.sqrt(variances)))
        half = mb.mul(x=sum_rows(mb.mul(x=far, y=far)), y=np.float32(-0.5))
        return mb.add(x=half, y=const(constant))

    return Scores(softmax(frame, frame.graph.compute("likelihood", x, len(means), build)))


_LINEAR = "GLM regressors (a linear model of the counts), softmax in an ML Program"


@maps("classifier", "MultinomialNB", how=_LINEAR)
def multinomial_nb(estimator: Any, frame: Frame) -> Scores:
    """Log-probabilities of features times counts."""
    logits = linear_vector(frame, estimator.feature_log_prob_, estimator.class_log_prior_)
    return Scores(softmax(frame, logits))


@maps("classifier", "ComplementNB", how=_LINEAR)
def complement_nb(estimator: Any, frame: Frame) -> Scores:
    """As it is written: the prior counts only where there is a single class."""
    prior = estimator.class_log_prior_ if len(estimator.classes_) == 1 else 0.0
    logits = linear_vector(frame, estimator.feature_log_prob_, prior)
    return Scores(softmax(frame, logits))


@maps("classifier", "BernoulliNB", how=f"questions of trees for the threshold; {_LINEAR}")
def bernoulli_nb(estimator: Any, frame: Frame) -> Scores:
    """Present and absent features."""
    if estimator.binarize is not None:

        class _Threshold:
            threshold = float(estimator.binarize)

        frame = binarizer(_Threshold, frame)
    present = estimator.feature_log_prob_
    absent = np.log(1 - np.exp(present))
    offset = estimator.class_log_prior_ + absent.sum(axis=1)
    return Scores(softmax(frame, linear_vector(frame, present - absent, offset)))


@maps("classifier", "CategoricalNB", how="one question of a tree for each category, softmax")
def categorical_nb(estimator: Any, frame: Frame) -> Scores:
    """Log-probabilities of each column's category."""
    tables = [
        Table([float(i) for i in range(logs.shape[1])], logs.T, np.zeros(len(logs)))
        for logs in estimator.feature_log_prob_
    ]
    parts = look_up(frame, tables)
    classes = len(estimator.classes_)
    total = np.tile(np.eye(classes), (1, frame.width))
    prior = estimator.class_log_prior_
    return Scores(
        softmax(
            frame,
            frame.graph.compute("likelihood", parts, classes, lambda x: affine(x, total, prior)),
        )
    )


@maps("classifier", "LinearDiscriminantAnalysis", how="GLM regressors and softmax or logistic")
def linear_discriminant(estimator: Any, frame: Frame) -> Scores:
    """Linear decisions."""
    margins = linear_vector(frame, estimator.coef_, estimator.intercept_)
    if len(estimator.classes_) == 2:
        return Scores(logistic_pair(frame, margins))
    return Scores(softmax(frame, margins))


@maps("transformer", "LinearDiscriminantAnalysis", how="ML Program on centred columns")
def discriminant_axes(estimator: Any, frame: Frame) -> Frame:
    """The projection on the axes that separate the classes."""
    count = estimator._max_components
    axes = np.asarray(estimator.scalings_)[:, :count].T
    if estimator.solver == "eigen":
        return projected(frame, np.zeros(axes.shape[1]), axes)
    return projected(frame, estimator.xbar_, axes)


def projected(frame: Frame, mean: Any, axes: Any, offset: Any = None) -> Frame:
    """``axes @ (x - mean) + offset``: the difference in doubles, the rest in float32."""
    x = center(frame.graph, frame.vector(), mean)
    value: Value = frame.graph.compute(
        "projection", x, len(axes), lambda x: affine(x, axes, offset)
    )
    return Frame.of(frame.graph, value)


@maps("classifier", "QuadraticDiscriminantAnalysis", how="ML Program: rotated and scaled distances")
def quadratic_discriminant(estimator: Any, frame: Frame) -> Scores:
    """A normal distribution for each class."""
    means = np.asarray(estimator.means_)
    middle = means.mean(axis=0)
    x = center(frame.graph, frame.vector(), middle)
    turns = [
        (rotation * scaling**-0.5).T
        for rotation, scaling in zip(estimator.rotations_, estimator.scalings_, strict=True)
    ]
    constant = np.array([-0.5 * np.log(s).sum() for s in estimator.scalings_])
    constant = constant + np.log(estimator.priors_)

    def build(x: Any) -> Any:
        squares = []
        for mean, turn in zip(means - middle, turns, strict=True):
            turned = affine(mb.sub(x=x, y=const(mean)), turn)
            squares.append(mb.reduce_sum(x=mb.mul(x=turned, y=turned), axes=[0], keep_dims=True))
        half = mb.mul(x=mb.concat(values=squares, axis=0), y=np.float32(-0.5))
        return mb.add(x=half, y=const(constant))

    return Scores(softmax(frame, frame.graph.compute("likelihood", x, len(means), build)))
