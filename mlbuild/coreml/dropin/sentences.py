"""What Core ML itself says of a failure, put before the runtime's own words.

Tests of projects that use coremltools look for these sentences.

Source: coremltools 9.0, its tests of flexible shapes (frontend/torch/test) and of invalid indices
(ops/tests/iOS17/test_scatter_gather.py), which quote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..description import ArrayLayout, Description
from ..errors import CoreMLError, ExecutionError

_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")


def core_ml_says(error: CoreMLError, description: Description, data: Mapping[str, Any]) -> str:
    """The text of an error of a prediction."""
    if isinstance(error, ExecutionError):
        if description.type in _NETWORKS:
            return f"Error computing NN outputs.\n{error}"
        return f"Unable to compute the prediction using ML Program.\n{error}"
    said = [
        _of_shape(feature.array, np.shape(data[feature.name]))
        for feature in description.inputs
        if feature.array is not None and feature.name in data
    ]
    return "\n".join([*filter(None, said), str(error)])


def _of_shape(layout: ArrayLayout, shape: tuple[int, ...]) -> str:
    if not (layout.shape or layout.ranges or layout.shapes) or layout.accepts(shape):
        return ""
    if len(shape) == len(layout.ranges):
        for axis, (size, (low, high)) in enumerate(zip(shape, layout.ranges, strict=True)):
            if size < low or (high is not None and size > high):
                top = -1 if high is None else high
                return (
                    f"Size ({size}) of dimension ({axis}) is not in allowed range ({low}..{top})."
                )
    if layout.shapes:
        return f"MultiArray Shape {_x(shape)} was not in enumerated set of allowed shapes."
    return (
        f"MultiArray shape {_x(shape)} does not match the shape {_x(layout.shape)} specified in "
        "the model description."
    )


def _x(shape: tuple[int, ...]) -> str:
    return f"({' x '.join(map(str, shape))})"
