"""Linear models: margins in doubles by Core ML's GLMs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .blocks import vectorize
from .ensemble import labelled, write_labels
from .frame import Frame
from .graph import DOUBLE, Value
from .ops import affine, mb
from .registry import maps, whole
from .results import Scores, binary_pair, logistic_pair, softmax

_MOST_MODELS = 16  # rows of weights that become a model each; more are one ML Program

REGRESSORS = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV",
    "LassoLarsIC", "Lars", "LarsCV", "ElasticNet", "ElasticNetCV", "HuberRegressor", "SGDRegressor",
    "BayesianRidge", "ARDRegression", "TheilSenRegressor", "PassiveAggressiveRegressor",
    "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "QuantileRegressor", "LinearSVR",
    "MultiTaskLasso", "MultiTaskLassoCV", "MultiTaskElasticNet", "MultiTaskElasticNetCV",
)  # fmt: skip
_DECIDERS = (
    "LinearSVC", "RidgeClassifier", "RidgeClassifierCV", "Perceptron",
    "PassiveAggressiveClassifier",
)  # fmt: skip


def linear(frame: Frame, weights: Any, offsets: Any) -> Value:
    """``weights @ x + offsets``, [rows]; one row gives a number, else a vector."""
    weights = np.atleast_2d(np.asarray(weights, np.float64))
    offsets = np.broadcast_to(np.ravel(np.asarray(offsets, np.float64)), (len(weights),))
    if len(weights) > _MOST_MODELS:
        return frame.graph.compute(
            "margins", frame.vector(), len(weights), lambda x: affine(x, weights, offsets)
        )
    rows = [_glm(frame, w, b) for w, b in zip(weights, offsets.tolist(), strict=True)]
    return rows[0] if len(rows) == 1 else vectorize(frame.graph, rows)


def linear_vector(frame: Frame, weights: Any, offsets: Any) -> Value:
    """The same, a vector also of one row."""
    value = linear(frame, weights, offsets)
    return vectorize(frame.graph, [value]) if value.kind == DOUBLE else value


def _glm(frame: Frame, weights: Any, offset: float) -> Value:
    target = frame.graph.single("margin", DOUBLE)

    def fill(spec: Any) -> None:
        spec.glmRegressor.weights.add().value.extend(weights.tolist())
        spec.glmRegressor.offset.append(offset)
        spec.description.predictedFeatureName = target.name

    frame.graph.model("glmRegressor", frame.parts(), [target], fill)
    return target


@maps("regressor", *REGRESSORS, how="GLM regressor, in doubles")
def linear_regressor(estimator: Any, frame: Frame) -> Value:
    """Coefficients and intercept."""
    return linear(frame, estimator.coef_, estimator.intercept_)


@maps("regressor", "PoissonRegressor", "GammaRegressor", "TweedieRegressor",
      how="GLM regressor, and an ML Program for the exponential")  # fmt: skip
def log_linear(estimator: Any, frame: Frame) -> Value:
    """Generalized linear models, by their link."""
    link = type(estimator._base_loss.link).__name__
    if link == "IdentityLink":
        return linear(frame, estimator.coef_, estimator.intercept_)
    margin = linear_vector(frame, estimator.coef_, estimator.intercept_)
    return frame.graph.compute("mean", margin, margin.width, lambda x: mb.exp(x=x))


@maps("regressor", "PLSRegression", "PLSCanonical", "CCA", how="GLM regressor, in doubles")
def partial_least_squares(estimator: Any, frame: Frame) -> Value:
    """Coefficients on centred columns."""
    coef = estimator.coef_
    offset = estimator.intercept_ - coef @ estimator._x_mean
    return linear(frame, coef, offset)


def is_multinomial(estimator: Any) -> bool:
    """Whether the probabilities are a softmax of all margins."""
    if estimator.multi_class == "ovr" or len(estimator.classes_) == 2:
        # Two classes with multi_class="multinomial": the softmax of [-m, m].
        return estimator.multi_class == "multinomial"
    return not (estimator.multi_class in ("auto", "deprecated") and estimator.solver == "liblinear")


def _weights(estimator: Any) -> tuple[Any, Any]:
    weights = np.atleast_2d(estimator.coef_)
    return weights, np.broadcast_to(np.ravel(estimator.intercept_), (len(weights),))


@maps(
    "classifier",
    "LogisticRegression",
    "LogisticRegressionCV",
    how="GLM classifier: logit, one against the rest, or multinomial by differences to the first",
)
def logistic_regression(estimator: Any, frame: Frame) -> Scores:
    """Probabilities: softmax, or logistic and divided by their sum."""
    margins = linear_vector(frame, *_weights(estimator))
    if len(estimator.classes_) == 2:
        if is_multinomial(estimator):
            return Scores(softmax(frame, binary_pair(frame, margins)))
        return Scores(logistic_pair(frame, margins))
    if is_multinomial(estimator):
        return Scores(softmax(frame, margins))
    return Scores(one_against_rest(frame, margins))


def one_against_rest(frame: Frame, margins: Value) -> Value:
    """Logistic of each margin, divided by their sum."""

    def build(m: Any) -> Any:
        each = mb.sigmoid(x=m)
        return mb.real_div(x=each, y=mb.reduce_sum(x=each, axes=[0], keep_dims=True))

    return frame.graph.compute("probabilities", margins, margins.width, build)


@whole("LogisticRegression", "LogisticRegressionCV")
def logistic_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """A GLM classifier, whose label and probabilities scikit-learn's are."""
    weights, offsets = _weights(estimator)
    multinomial = is_multinomial(estimator)
    if len(labels) == 2:
        factor = 2.0 if multinomial else 1.0  # the softmax of [-m, m] is the logistic of 2 m
        return glm_classifier(frame, weights * factor, offsets * factor, labels, True)
    if multinomial:
        return glm_classifier(
            frame, weights[1:] - weights[0], offsets[1:] - offsets[0], labels, True
        )
    return glm_classifier(frame, weights, offsets, labels, False)


def glm_classifier(
    frame: Frame, weights: Any, offsets: Any, labels: Sequence[Any], reference: bool
) -> Any:
    """Core ML's generalized linear classifier with the logit link."""
    label, scores = labelled(frame.graph, labels)

    def fill(spec: Any) -> None:
        glm = spec.glmClassifier
        for row in np.asarray(weights, np.float64):
            glm.weights.add().value.extend(row.tolist())
        glm.offset.extend(np.asarray(offsets, np.float64).tolist())
        glm.classEncoding = 0 if reference else 1
        write_labels(glm, labels)
        spec.description.predictedFeatureName = label.name
        spec.description.predictedProbabilitiesName = scores.name

    frame.graph.model("glmClassifier", frame.parts(), [label, scores], fill, classifies=True)
    return label, scores


@maps("classifier", *_DECIDERS, how="GLM regressors; the scores are decisions, not probabilities")
def deciding(estimator: Any, frame: Frame) -> Scores:
    """Decisions; scikit-learn has no probabilities for these either."""
    return decisions(frame, *_weights(estimator), len(estimator.classes_))


def decisions(frame: Frame, weights: Any, offsets: Any, classes: int) -> Scores:
    """Margins as scores."""
    margins = linear_vector(frame, weights, offsets)
    return Scores(binary_pair(frame, margins) if classes == 2 else margins, probable=False)


@maps("classifier", "SGDClassifier", how="as LogisticRegression (log_loss), by its own formula "
      "(modified_huber), else decisions")  # fmt: skip
def sgd_classifier(estimator: Any, frame: Frame) -> Scores:
    """By its loss."""
    weights, offsets = _weights(estimator)
    classes = len(estimator.classes_)
    if estimator.loss == "log_loss":
        margins = linear_vector(frame, weights, offsets)
        if classes == 2:
            return Scores(logistic_pair(frame, margins))
        return Scores(one_against_rest(frame, margins))
    plain = decisions(frame, weights, offsets, classes)
    if estimator.loss != "modified_huber":
        return plain

    def build(m: Any) -> Any:
        clipped = mb.clip(x=m, alpha=np.float32(-1), beta=np.float32(1))
        each = mb.mul(x=mb.add(x=clipped, y=np.float32(1)), y=np.float32(0.5))
        total = mb.reduce_sum(x=each, axes=[0], keep_dims=True)
        none = mb.cast(x=mb.equal(x=total, y=np.float32(0)), dtype="fp32")
        # Where no class claims the sample, all are equally probable.
        each = mb.add(x=each, y=none)
        return mb.real_div(x=each, y=mb.reduce_sum(x=each, axes=[0], keep_dims=True))

    value = frame.graph.compute("probabilities", plain.value, classes, build)
    return Scores(value, decide=plain.value)
