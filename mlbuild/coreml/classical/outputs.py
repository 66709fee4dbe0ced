"""From computed numbers to outputs of the described names and types.

Source: Core ML specification, Model.proto (ModelDescription: predictedFeatureName,
predictedProbabilitiesName) and FeatureTypes.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..body import Ran
from ..description import Feature
from ..errors import ExecutionError
from .kind import Given

Label = str | int


def class_labels(given: Given, count: int | None = None) -> tuple[Label, ...]:
    """A classifier's labels, checked to be different and, where a count is given, that many."""
    which = given.params.WhichOneof("ClassLabels")
    if which is None:
        raise given.wrong("a classifier without class labels")
    labels: tuple[Label, ...] = tuple(getattr(given.params, which).vector)
    if not labels:
        raise given.wrong("a classifier without class labels")
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise given.wrong("a class label that stands twice", repr(twice))
    if count is not None and len(labels) != count:
        raise given.wrong(
            "the number of class labels does not match the scores", len(labels), (count,)
        )
    return labels


def classified(
    given: Given,
    labels: Sequence[Label],
    scores: Any,
    best: int | None = None,
    between: Mapping[str, Any] | None = None,
) -> Ran:
    """A classifier's answer: its label and, where described, labels with their scores.

    The label is that of the greatest score, the first one where several are equal, unless
    ``best`` names another one.
    """
    scores = np.asarray(scores, np.float64)
    described = given.description
    chosen = labels[int(np.argmax(scores)) if best is None else best]
    outputs: dict[str, Any] = {}
    if described.predicted_feature:
        outputs[described.predicted_feature] = chosen
    if described.predicted_probabilities:
        outputs[described.predicted_probabilities] = dict(zip(labels, scores.tolist(), strict=True))
    return Ran(outputs, {**(between or {}), "scores": scores})


def check_classifier(given: Given) -> None:
    """Refuse a classifier whose description names no label among its outputs."""
    _check_predicted(given, "a classifier")


def check_regressor(given: Given, dimensions: int) -> str:
    """The name of a regressor's prediction, which must hold that many numbers."""
    feature = _check_predicted(given, "a regressor")
    shape = feature.array.shape if feature.array else ()
    room = math.prod(shape) if feature.array else 1
    if room != dimensions and (shape or feature.array is None):
        raise given.wrong(
            f"the prediction has {dimensions} numbers, the output '{feature.name}' takes {room}"
        )
    return feature.name


def _check_predicted(given: Given, what: str) -> Feature:
    described = given.description
    for feature in described.outputs:
        if feature.name == described.predicted_feature:
            return feature
    raise given.wrong(
        f"{what} whose predictedFeatureName is not one of its outputs",
        repr(described.predicted_feature or ""),
        tuple(feature.name for feature in described.outputs),
    )


def typed(feature: Feature, value: Any) -> Any:
    """A computed value in the neutral form of a described output."""
    if feature.array is not None:
        return _array(feature, value)
    if feature.kind == "double":
        return float(_single(feature, value))
    if feature.kind == "int64":
        return int(_single(feature, value))
    return value


def _array(feature: Feature, value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    layout = feature.array
    assert layout is not None
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float16 is infinite, as declared
        array = np.array(value, dtype=layout.dtype, order="C")
    if layout.shape and not layout.ranges and not layout.shapes:
        if array.size != math.prod(layout.shape):
            raise ExecutionError(
                "an array of another size than described",
                place=f"output '{feature.name}'",
                got=str(list(array.shape)),
                allowed=layout.allowed(),
            )
        array = array.reshape(layout.shape)
    return torch.from_numpy(np.atleast_1d(array))


def _single(feature: Feature, value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    array = np.asarray(value)
    if array.size != 1:
        raise ExecutionError(
            "several values for an output that takes one",
            place=f"output '{feature.name}'",
            got=str(list(array.shape)),
        )
    return array.reshape(-1)[0].item()
