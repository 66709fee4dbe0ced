"""Between the values that users hold and the tensors that a program takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .description import ArrayLayout, Description, Feature
from .errors import InputError
from .images import from_planes, to_planes
from .mil.dtypes import ValueType
from .mil.precision import to_half


def encode_inputs(
    description: Description,
    types: Mapping[str, ValueType],
    given: Mapping[str, Any],
    *,
    declared: bool,
) -> dict[str, Any]:
    """Check the inputs of a prediction and turn them into tensors.

    Args:
        description: What the model takes.
        types: The declared types of the program's inputs.
        given: What the user gave, by name.
        declared: Whether float16 inputs are rounded.
    """
    known = {feature.name: feature for feature in description.inputs}
    if extra := sorted(set(given) - set(known)):
        raise InputError(f"the model has no such input: {', '.join(extra)}", allowed=sorted(known))
    tensors = {}
    for name, feature in known.items():
        value = given.get(name)
        if value is None:
            value = _default(feature)
        tensor = torch.from_numpy(_array(feature, value))
        tensors[name] = _typed(tensor, types.get(name), declared)
    return tensors


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


def _array(feature: Feature, value: Any) -> Any:
    if feature.image is not None:
        return to_planes(feature, value)
    if feature.array is not None:
        return _multi_array(feature, feature.array, value)
    if feature.kind in ("int64", "double"):
        dtype = np.int32 if feature.kind == "int64" else np.float32
        return np.asarray(value, dtype=dtype).reshape(1)
    raise InputError(
        "a program cannot take an input of this kind",
        place=f"input '{feature.name}'",
        got=feature.kind,
    )


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


def _typed(tensor: torch.Tensor, declared_type: ValueType | None, declared: bool) -> torch.Tensor:
    dtype = declared_type.dtype if declared_type is not None else None
    if dtype is None or not dtype.torch:
        return tensor.float() if tensor.is_floating_point() else tensor
    tensor = tensor.to(getattr(torch, dtype.torch))
    return to_half(tensor) if declared and dtype.name == "fp16" else tensor
