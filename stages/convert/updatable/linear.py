"""Linear models as a network of one dense layer.

A logistic regression of two classes, sigmoid(z), is the softmax of (-z / 2, z / 2); scikit-learn's
multinomial one of two classes is that of (-z, z).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

from ..._shared.problem.problem import Problem
from .estimator import Estimator
from .interface import as_classifier, shape_of_value
from .made import Made
from .steering import make_updatable

_SCORES, _VALUE, _DENSE = "probabilities", "value", "dense"
_REGRESSORS = ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "ElasticNet", "SGDRegressor")


def linear(source: Estimator, params: Any) -> Made:
    """The dense layer behind the scalers, with softmax for classes.

    Raises:
        Problem: the estimator is none of those that one dense layer can be.
    """
    name = type(source.last).__name__
    if params.train["layers"] != 1:
        raise Problem(f"train: {params.train['layers']} layers, but {name} is one")
    if name in _REGRESSORS:
        return _regressor(source, params)
    weights, bias = _classes(source.last, name)
    _refuse_loss(params, "mean_squared_error", "is a classifier")
    spec = _network(source, params, weights, bias, _SCORES, softmax=True)
    spec = as_classifier(spec, source.labels, _SCORES, params.label_output)
    made = _made(spec, params.label_output, source.labels, _SCORES, weights, "cross_entropy")
    make_updatable(spec, [_DENSE], ("cross_entropy", _SCORES, 1), params)
    return made


def _refuse_loss(params: Any, refused: str, what: str) -> None:
    if params.loss == refused:
        raise Problem(f"loss: {refused} is not for this model, which {what}")


def _regressor(source: Estimator, params: Any) -> Made:
    _refuse_loss(params, "cross_entropy", "gives a number")
    weights = np.atleast_2d(source.last.coef_)
    bias = np.broadcast_to(np.ravel(source.last.intercept_), (len(weights),))
    spec = _network(source, params, weights, bias, _VALUE, softmax=False)
    shape_of_value(spec, _VALUE, [1, len(weights), 1, 1])
    make_updatable(spec, [_DENSE], ("mean_squared_error", _VALUE, len(weights)), params)
    return _made(spec, f"{_VALUE}_true", (), _VALUE, weights, "mean_squared_error")


def _classes(estimator: Any, name: str) -> tuple[Any, Any]:
    """Weights [K, F] and bias [K] whose softmax is what the estimator says."""
    if name == "SGDClassifier" and estimator.loss == "log_loss" and len(estimator.coef_) == 1:
        return _both(estimator, 0.5)
    if name not in ("LogisticRegression", "LogisticRegressionCV"):
        allowed = ", ".join(("LogisticRegression", "KNeighborsClassifier", *_REGRESSORS))
        raise Problem(f"{name} cannot learn on a device", hint=f"allowed: {allowed}")
    two = len(estimator.classes_) == 2
    each = estimator.multi_class == "ovr" or (
        estimator.multi_class in ("auto", "deprecated") and (two or estimator.solver == "liblinear")
    )
    if two:
        return _both(estimator, 0.5 if each else 1.0)
    if each:
        raise Problem(
            "a logistic regression of one class against the others is no softmax, which Core ML "
            "trains",
            hint="use a solver other than liblinear, without multi_class: ovr",
        )
    return estimator.coef_, estimator.intercept_


def _both(estimator: Any, share: float) -> tuple[Any, Any]:
    weights, bias = estimator.coef_[0] * share, float(estimator.intercept_[0]) * share
    return np.stack([-weights, weights]), np.array([-bias, bias])


def _network(
    source: Estimator, params: Any, weights: Any, bias: Any, output: str, softmax: bool
) -> Any:
    builder = NeuralNetworkBuilder(
        [(params.features_name, datatypes.Array(source.width))],
        [(output, None)],
        disable_rank5_shape_mapping=True,
    )
    for feature in builder.spec.description.input:
        feature.type.multiArrayType.dataType = feature.type.multiArrayType.FLOAT32
    builder.add_expand_dims("lifted", params.features_name, "lifted", axes=[0, 2, 3])
    before = "lifted"
    if source.is_scaled:
        before = "scaled"
        builder.add_scale(
            "scaled", source.scale, source.shift, True, "lifted", "scaled",
            shape_scale=[source.width], shape_bias=[source.width],
        )  # fmt: skip
    after = "logits" if softmax else output
    count = len(weights)
    builder.add_inner_product(_DENSE, weights, bias, source.width, count, True, before, after)
    if softmax:
        builder.add_softmax("softmax", after, output)
    return builder.spec


def _made(spec: Any, truth: str, labels: Any, output: str, weights: Any, loss: str) -> Made:
    return Made(
        spec=spec,
        learns="layers",
        truth=truth,
        labels=tuple(labels),
        output=output,
        layers=(_DENSE,),
        weights=weights.size + len(weights),
        loss=loss,
    )
