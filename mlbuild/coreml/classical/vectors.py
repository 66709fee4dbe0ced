"""The inputs of a model as one vector.

Linear models, support vectors and trees see their inputs as one vector of doubles: numbers and
arrays in the order in which they are described, arrays row by row. An optional input that was
not given is missing, which is NaN, as many times as it has elements.

Source: Core ML specification, Model.proto (regressors and classifiers) and FeatureTypes.proto.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..description import Feature
from ..errors import InputError
from .kind import Given

Vectorize = Callable[[Mapping[str, Any]], Any]
_KINDS = ("double", "int64", "multi_array")


def vectorizer(given: Given, width: int | None = None) -> Vectorize:
    """What makes a vector of the inputs; checks the width where the model needs a certain one.

    Raises:
        ModelFileError: An input is neither a number nor an array, or the described inputs have
            another width than the parameters.
    """
    inputs = given.inputs
    for feature in inputs:
        if feature.kind not in _KINDS:
            raise given.wrong(
                "an input that cannot be part of a vector", f"{feature.name}: {feature}", _KINDS
            )
    described = described_width(inputs)
    if width is not None and described is not None and width != described:
        raise given.wrong(
            "the parameters are for another number of inputs than described", width, (described,)
        )

    def vectorize(values: Mapping[str, Any]) -> Any:
        parts = [_part(feature, values.get(feature.name)) for feature in inputs]
        vector = parts[0] if len(parts) == 1 else np.concatenate(parts or [np.zeros(0)])
        if width is not None and vector.size != width:
            raise InputError(
                "the inputs together have the wrong number of elements",
                place=given.type,
                got=str(vector.size),
                allowed=(str(width),),
            )
        return vector

    return vectorize


def described_width(inputs: tuple[Feature, ...]) -> int | None:
    """How many elements the inputs have together, or None where a shape is open."""
    total = 0
    for feature in inputs:
        layout = feature.array
        if layout is None:
            total += 1
        elif layout.shape and not layout.ranges and not layout.shapes:
            total += math.prod(layout.shape)
        else:
            return None
    return total


def flat(value: Any) -> Any:
    """The elements of an array in neutral form as a vector of doubles."""
    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    return array.astype(np.float64).reshape(-1)


def _part(feature: Feature, value: Any) -> Any:
    if value is None:
        count = math.prod(feature.array.shape) if feature.array else 1
        return np.full(count, np.nan)
    return flat(value)
