"""From a sample by the candidate's names to the inputs of another framework's model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .recording import Sample

Declared = Mapping[str, tuple[Any, Sequence[int | None] | None]]  # element type and shape
_COLOURS = (1, 3, 4)


def fed(sample: Sample, declared: Declared) -> dict[str, Any]:
    """The arrays that a model takes: those of its names, else in their order.

    Args:
        sample: By the candidate's input names; pictures as PIL or arrays [height, width, colours].
        declared: What the model takes, in its order.

    Raises:
        InputError: There are not enough, or one has another number of elements.
    """
    left = [name for name in sample if name not in declared]
    found = {}
    for name, (dtype, shape) in declared.items():
        if name not in sample and not left:
            raise InputError(
                f"the reference takes an input that no sample has: {name}",
                got=", ".join(sample),
                allowed=tuple(declared),
            )
        given = sample[name] if name in sample else sample[left.pop(0)]
        found[name] = _laid(given, np.dtype(dtype), shape, name)
    return found


def _laid(given: Any, dtype: Any, shape: Sequence[int | None] | None, name: str) -> Any:
    """An array in the declared type and shape."""
    picture = hasattr(given, "getbands") or (
        getattr(given, "dtype", None) == np.uint8 and getattr(given, "ndim", 0) in (2, 3)
    )
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise InputError("not an array of numbers", place=f"input '{name}'", got=str(array.dtype))
    if picture and shape is not None and len(shape) in (3, 4):
        array = _planes(array, last=shape[-1] in _COLOURS)
    if shape is not None and array.ndim != len(shape):
        array = _of_rank(array, shape, name)
    if shape is not None and any(a != b for a, b in zip(array.shape, shape, strict=True) if b):
        raise InputError(
            "an array of the wrong shape for the reference",
            place=f"input '{name}'",
            got=str(list(array.shape)),
            allowed=(str([n or "any" for n in shape]),),
        )
    return np.ascontiguousarray(array, dtype)


def _planes(picture: Any, *, last: bool) -> Any:
    """A picture as a batch of one, colours first or last."""
    if picture.ndim == 2:
        picture = picture[:, :, None]
    return (picture if last else picture.transpose(2, 0, 1))[None]


def _of_rank(array: Any, shape: Sequence[int | None], name: str) -> Any:
    """An array with dimensions of one more or less."""
    unknown = sum(not n for n in shape)
    known = math.prod(n for n in shape if n)
    if unknown > 1:  # only batches of one can be added or left out
        spare = array.ndim - len(shape)
        if spare < 0:
            return array[(None,) * -spare]
        if array.shape[:spare] == (1,) * spare:
            return array.reshape(array.shape[spare:])
    elif array.size == known or (unknown and known and array.size % known == 0):
        laid = array.reshape([n or -1 for n in shape])
        if [n for n in laid.shape if n != 1] == [n for n in array.shape if n != 1]:
            return laid
    raise InputError(
        "an array of the wrong size for the reference",
        place=f"input '{name}'",
        got=str(list(array.shape)),
        allowed=(str([n or "any" for n in shape]),),
    )
