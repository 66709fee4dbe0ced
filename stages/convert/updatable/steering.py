"""Optimizer, loss and their ranges, written into a network's specification.

Source: Core ML specification, NeuralNetwork.proto (NetworkUpdateParameters) and Parameters.proto.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from coremltools.models.neural_network import NeuralNetworkBuilder

_CEILING = 1.0
_MOST = 1000


def make_updatable(spec: Any, layers: list[str], loss: tuple[str, str, int], params: Any) -> None:
    """Mark layers for training and say how.

    Args:
        spec: a neural network or classifier; changed in place.
        layers: names of those that learn.
        loss: its kind, what it judges, and how many numbers that are.
        params: of the kind.
    """
    builder = NeuralNetworkBuilder(spec=spec)
    kind, judged, width = loss
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the names of its inputs
        builder.make_updatable(layers)
        if kind == "cross_entropy":
            builder.set_categorical_cross_entropy_loss("loss", judged)
    if kind == "mean_squared_error":
        _squares(spec, builder.nn_spec, judged, width)
    update = builder.nn_spec.updateParams
    _optimizer(update.optimizer, params)
    whole(update.epochs, params.epochs)
    update.shuffle.defaultValue = params.shuffle
    update.seed.defaultValue = params.seed


def _squares(spec: Any, network: Any, judged: str, width: int) -> None:
    layer = network.updateParams.lossLayers.add()
    layer.name = "loss"
    layer.meanSquaredErrorLossLayer.input = judged
    layer.meanSquaredErrorLossLayer.target = f"{judged}_true"
    spec.description.trainingInput.extend(spec.description.input)
    truth = spec.description.trainingInput.add()
    truth.name = f"{judged}_true"
    array = truth.type.multiArrayType
    array.dataType = array.FLOAT32
    array.shape.append(width)


def _optimizer(message: Any, params: Any) -> None:
    if params.optimizer == "sgd":
        own = message.sgdOptimizer
        number(own.momentum, params.momentum)
    else:
        own = message.adamOptimizer
        number(own.beta1, params.beta1)
        number(own.beta2, params.beta2)
        number(own.eps, params.eps)
    number(own.learningRate, params.learning_rate)
    whole(own.miniBatchSize, params.mini_batch)


def number(message: Any, given: Any) -> None:
    """A DoubleParameter; a plain number may be set from 0 to 1."""
    facts = given if isinstance(given, dict) else {"default": given}
    message.defaultValue = facts["default"]
    message.range.minValue = facts.get("min", 0.0)
    message.range.maxValue = facts.get("max", _CEILING)


def whole(message: Any, given: Any) -> None:
    """An Int64Parameter; a plain number may be set from 1 to 1000."""
    facts = given if isinstance(given, dict) else {"default": given}
    message.defaultValue = facts["default"]
    if facts.get("allowed"):
        message.set.values.extend(sorted(set(facts["allowed"])))
        return
    message.range.minValue = facts.get("min", 1)
    message.range.maxValue = facts.get("max", _MOST)
