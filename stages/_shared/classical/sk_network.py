"""Multi-layer perceptrons."""

from __future__ import annotations

from typing import Any

from .frame import Frame
from .graph import Value
from .ops import affine, mb
from .registry import maps
from .results import Scores, binary_pair, classes_of

_ACTIVATIONS = {
    "identity": lambda x: x,
    "logistic": lambda x: mb.sigmoid(x=x),
    "tanh": lambda x: mb.tanh(x=x),
    "relu": lambda x: mb.relu(x=x),
}


def _layers(estimator: Any, frame: Frame) -> Value:
    """The last layer's values, before its activation."""
    weights, biases = estimator.coefs_, estimator.intercepts_
    activation = _ACTIVATIONS[estimator.activation]

    def build(x: Any) -> Any:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = activation(affine(x, weight.T, bias))
        return affine(x, weights[-1].T, biases[-1])

    return frame.graph.compute("layers", frame.vector(), estimator.n_outputs_, build)


@maps("classifier", "MLPClassifier", how="ML Program: its layers")
def perceptron_classifier(estimator: Any, frame: Frame) -> Scores:
    """Softmax, or logistic for two classes."""
    classes_of(estimator)
    last = _layers(estimator, frame)
    if estimator.out_activation_ == "softmax":
        return Scores(
            frame.graph.compute(
                "probabilities", last, last.width, lambda x: mb.softmax(x=x, axis=0)
            )
        )
    pair = binary_pair(frame, last)
    return Scores(frame.graph.compute("probabilities", pair, 2, lambda x: mb.sigmoid(x=x)))


@maps("regressor", "MLPRegressor", how="ML Program: its layers")
def perceptron_regressor(estimator: Any, frame: Frame) -> Value:
    """The last layer's values."""
    return _layers(estimator, frame)
