"""Between the values that users hold and the tensors that a program takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .description import ArrayLayout, Description, Feature
from .errors import InputError
from .images import from_planes, to_planes


def encode_inputs(description: Description, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the inputs of a prediction and bring them into neutral form (see ``body``)."""
    known = {feature.name: feature for feature in description.inputs}
    if extra := sorted(set(given) - set(known)):
        raise InputError(f"the model has no such input: {', '.join(extra)}", allowed=sorted(known))
    values = {}
    for name, feature in known.items():
        value = given.get(name)
        values[name] = encode(feature, _default(feature) if value is None else value)
    return values


def encode(feature: Feature, value: Any) -> Any:
    """One value in neutral form."""
    if feature.image is not None:
        return torch.from_numpy(to_planes(feature, value))
    if feature.array is not None:
        return torch.from_numpy(_multi_array(feature, feature.array, value))
    if feature.kind == "int64":
        return int(np.asarray(value).item())
    if feature.kind == "double":
        return float(np.asarray(value).item())
    raise InputError(
        "a program cannot take an input of this kind",
        place=f"input '{feature.name}'",
        got=feature.kind,
    )


def decode_output(feature: Feature, value: Any) -> Any:
    """A program's result as Core ML gives it: array, picture, label, dictionary."""
    if not isinstance(value, torch.Tensor):
        return value
    if feature.image is not None:
        return from_planes(feature.image, value.numpy())
    if feature.array is not None:
        # A multi-array has at least one dimension: Core ML gives a scalar as an array of one.
        return np.atleast_1d(value.numpy()).astype(feature.array.dtype)
    if feature.kind in ("int64", "double"):
        return value.item()
    return value.numpy()


def _default(feature: Feature) -> Any:
    layout = feature.array
    if not feature.optional:
        raise InputError(f"an input is missing: {feature.name}", allowed=(str(feature),))
    if layout is None:
        raise InputError(
            "an optional input of this kind has no default", place=f"input '{feature.name}'"
        )
    return np.full(layout.shape, layout.default or 0.0, layout.dtype)


def _multi_array(feature: Feature, layout: ArrayLayout, value: Any) -> Any:
    place = f"input '{feature.name}'"
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"elements of type {array.dtype}")
        converted = np.array(array, dtype=layout.dtype, order="C")
    except (ValueError, TypeError) as error:
        raise InputError("not an array of numbers", place=place, got=str(error)) from error
    if (layout.shape or layout.ranges or layout.shapes) and not layout.accepts(converted.shape):
        raise InputError(
            "an array of the wrong shape",
            place=place,
            got=str(list(converted.shape)),
            allowed=layout.allowed(),
        )
    return converted
