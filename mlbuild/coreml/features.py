"""Between the values that users hold and the neutral form in which models compute.

The checks are those of Core ML, at the same moment: unknown and missing names, kinds, element
types, shapes, keys. Conversions that lose nothing, or only precision, are made silently as Core
ML makes them (a double array for a float16 input); a value that the declared type cannot hold
at all is an error.

Source: Core ML specification, FeatureTypes.proto; Apple, Core ML, MLFeatureValue.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from .description import ArrayLayout, Description, Feature
from .errors import InputError
from .images import from_planes, to_planes
from .limits import demand

# ML Programs and networks have no notion of an absent value: without a default it is zero, as for
# the initial state of a recurrent layer.
_ZERO_WITHOUT = ("mlProgram", "neuralNetwork")
_INT64 = np.iinfo(np.int64)


def encode_inputs(description: Description, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the inputs of a prediction and bring them into neutral form (see ``body``).

    An optional input that was not given, or given as None, takes its declared default. Where it
    has none, an array is zero for networks and programs (the initial state of a recurrent
    layer); anything else is absent from the result, which trees take for a missing value.
    """
    known = {feature.name: feature for feature in description.inputs}
    if extra := sorted(str(name) for name in set(given) - set(known)):
        raise InputError(f"the model has no such input: {', '.join(extra)}", allowed=sorted(known))
    values = {name: encode(known[name], v) for name, v in given.items() if v is not None}
    return with_defaults(description, values)


def with_defaults(description: Description, values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete values in neutral form by the defaults of optional inputs.

    Raises:
        InputError: An input that is not optional is missing.
    """
    result = {}
    for feature in description.inputs:
        if feature.name in values:
            result[feature.name] = values[feature.name]
        elif not feature.optional:
            raise InputError(f"an input is missing: {feature.name}", allowed=(str(feature),))
        elif (default := _default(feature, description.type)) is not None:
            result[feature.name] = default
    return result


def encode(feature: Feature, value: Any) -> Any:
    """One value in neutral form."""
    if feature.image is not None:
        return torch.from_numpy(to_planes(feature, value))
    if feature.array is not None:
        return torch.from_numpy(_multi_array(feature.array, value, _place(feature)))
    if feature.kind == "int64":
        return _whole(value, _place(feature))
    if feature.kind == "double":
        return _real(value, _place(feature))
    if feature.kind == "string":
        return _text(value, _place(feature))
    if feature.kind == "dictionary":
        return _dictionary(feature, value)
    return _sequence(feature, value)


def decode_output(feature: Feature, value: Any) -> Any:
    """A result in neutral form as Core ML gives it: array, picture, number, label, dictionary."""
    if feature.image is not None and isinstance(value, torch.Tensor):
        return from_planes(feature.image, value.detach().numpy())
    if feature.array is not None:
        return _decoded_array(feature.array, value)
    if isinstance(value, torch.Tensor):
        if feature.kind in ("int64", "double") and value.numel() == 1:
            value = value.item()
        else:
            return value.detach().numpy()
    if feature.kind == "double" and isinstance(value, Real):
        return float(value)
    if feature.kind == "int64" and isinstance(value, Integral | float):
        return int(value)
    return value


def _decoded_array(layout: ArrayLayout, value: Any) -> Any:
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    # A multi-array has at least one dimension: Core ML gives a scalar as an array of one.
    array = np.atleast_1d(array)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float16 is infinite, as declared
        return array.astype(layout.dtype)  # a copy: the caller may write to it


def _default(feature: Feature, model_type: str) -> Any:
    layout = feature.array
    if layout is None or (layout.default is None and not model_type.startswith(_ZERO_WITHOUT)):
        return None
    demand(math.prod(layout.shape) * 8, f"input '{feature.name}'")
    default = layout.default or 0.0
    return torch.from_numpy(_converted(np.full(layout.shape, default), layout, _place(feature)))


def _place(feature: Feature) -> str:
    return f"input '{feature.name}'"


def _multi_array(layout: ArrayLayout, value: Any, place: str) -> Any:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"elements of type {array.dtype}")
    except (ValueError, TypeError) as error:
        raise InputError("not an array of numbers", place=place, got=str(error)) from error
    if not layout.accepts(array.shape):
        raise InputError(
            "an array of the wrong shape",
            place=place,
            got=str(list(array.shape)),
            allowed=layout.allowed(),
        )
    return _converted(array, layout, place)


def _converted(array: Any, layout: ArrayLayout, place: str) -> Any:
    """A contiguous copy of the declared element type."""
    target = np.dtype(layout.dtype)
    if target.kind == "i" and array.dtype != target and array.size:
        limits = np.iinfo(target)
        low, high = array.min(), array.max()  # NaN where there is one
        if not (limits.min <= low and high <= limits.max):
            raise InputError(
                f"a value that {layout.dtype} cannot hold",
                place=place,
                got=str(low if not limits.min <= low else high),
                allowed=(f"{limits.min} to {limits.max}",),
            )
    with np.errstate(over="ignore"):  # a float16 beyond 65504 is infinite
        return np.array(array, dtype=target, order="C")


def _single(value: Any) -> Any:
    """The number in an array or tensor of one element; anything else as it is."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor) and math.prod(value.shape) == 1:
        return value.item()
    return value


def _whole(value: Any, place: str) -> int:
    number = _single(value)
    if not isinstance(number, Integral) and not (
        isinstance(number, Real) and float(number).is_integer()
    ):
        raise InputError("not a whole number", place=place, got=_shown(value))
    whole = int(float(number)) if not isinstance(number, Integral) else int(number)
    if not _INT64.min <= whole <= _INT64.max:
        raise InputError("a number that int64 cannot hold", place=place, got=str(whole))
    return whole


def _real(value: Any, place: str) -> float:
    number = _single(value)
    if not isinstance(number, Real):
        raise InputError("not a number", place=place, got=_shown(value))
    return float(number)


def _text(value: Any, place: str) -> str:
    if isinstance(value, str):
        return str(value)  # also of numpy's strings
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise InputError("not a string", place=place, got=_shown(value))


def _dictionary(feature: Feature, value: Any) -> dict[str | int, float]:
    if not isinstance(value, Mapping):
        raise InputError(
            "not a dictionary", place=_place(feature), got=_shown(value), allowed=(str(feature),)
        )
    key_of = _whole if feature.key_type == "int64" else _text
    place = _place(feature)
    return {
        key_of(key, f"{place}, a key"): _real(number, f"{place}, key {key!r}")
        for key, number in value.items()
    }


def _sequence(feature: Feature, value: Any) -> list[Any]:
    place = _place(feature)
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        raise InputError("not a sequence", place=place, got=_shown(value), allowed=(str(feature),))
    item_of = _whole if feature.item_type == "int64" else _text
    items = [item_of(item, f"{place}, element {number}") for number, item in enumerate(value)]
    least, greatest = feature.lengths
    if len(items) < least or (greatest is not None and len(items) > greatest):
        raise InputError(
            "a sequence of the wrong length",
            place=place,
            got=f"{len(items)} elements",
            allowed=(f"{least}..{'' if greatest is None else greatest}",),
        )
    return items


def _shown(value: Any) -> str:
    """The kind of a value and a little of it, for messages."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
