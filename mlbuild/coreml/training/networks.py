"""Training of a network's updatable weights.

Source: Core ML specification, NeuralNetwork.proto, NetworkUpdateParameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..body import Options
from ..description import describe
from ..errors import InputError, ModelFileError
from ..nn.body import NetworkBody
from ..nn.network import open_network
from ..nn.weights import write_weight
from .loop import LossOf, Progress, train
from .losses import cross_entropy, mean_squared_error
from .parameters import read_parameters
from .support import Loss, read_loss


def learn_network(
    spec: Any,
    options: Options,
    samples: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    progress: Progress | None,
) -> list[list[float]]:
    """Train a network's specification in place.

    Args:
        spec: An updatable NeuralNetwork, classifier or regressor.
        options: Its seed is where random layers begin.
        samples: In neutral form.
        parameters: Values over the model's defaults, named as in MLParameterKey.
        progress: See ``loop.train``.

    Returns:
        The mean loss of each mini-batch, by epoch.
    """
    message = getattr(spec, spec.WhichOneof("Type"))
    loss = read_loss(message)
    steering = read_parameters(message.updateParams, parameters)
    described = describe(spec)
    known = {f.name for f in described.training}
    inputs = tuple(f for f in described.inputs if f.name in known)
    network = open_network(
        message, [f.name for f in inputs], [loss.input], seed=options.seed, train=True
    )
    trained = list(network.trainable.values())
    body = NetworkBody.of_inputs(message, described, network, inputs)
    truth = _truth_name(loss, described.predicted_feature, known)
    rows = [
        {"blobs": body.blobs(sample), "target": _target(sample[truth], loss, body.labels, place)}
        for place, sample in enumerate(samples)
    ]
    losses = train([w.tensor for w in trained], _loss_of(network, loss), rows, steering, progress)
    for weight in trained:
        write_weight(weight.message, weight.tensor)
    return losses


def _loss_of(network: Any, loss: Loss) -> LossOf:
    judge = cross_entropy if loss.kind == "cross_entropy" else mean_squared_error

    def value(row: Mapping[str, Any]) -> torch.Tensor:
        outputs, _ = network.run(row["blobs"])
        return judge(outputs[loss.input], row["target"])

    return value


def _truth_name(loss: Loss, predicted: str | None, known: set[str]) -> str:
    """Where a sample's truth stands: the loss's target, or for a classifier the label's name."""
    if loss.target in known:
        return loss.target
    if predicted in known and predicted is not None:
        return predicted
    raise ModelFileError(
        "the loss's target is not among what the model learns from",
        got=loss.target, allowed=sorted(known),
    )  # fmt: skip


def _target(value: Any, loss: Loss, labels: tuple[str | int, ...], number: int) -> Any:
    if loss.kind == "mean_squared_error":
        return torch.as_tensor(value, dtype=torch.float32)
    if isinstance(value, torch.Tensor):  # an array of one element: the index itself
        return int(value.item())
    if value in labels:
        return labels.index(value)
    if labels:
        raise InputError(
            "the model has no such label", place=f"sample {number}", got=str(value),
            allowed=map(str, labels),
        )  # fmt: skip
    return int(value)
