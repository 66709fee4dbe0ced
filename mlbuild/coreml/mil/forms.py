"""Turns values into the forms in which operators want them, before a run or during it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import DType

if TYPE_CHECKING:
    import torch


def constant_form(value: Any, dtype: DType | None, form: str) -> Any:
    """A decoded constant in the wanted form."""
    if form in ("Array", "Any"):
        return value
    if form == "Tensor":
        return to_tensor(value, dtype)
    if form == "Natural":
        return _natural(value, dtype)
    if isinstance(value, str):
        return value
    flat = np.asarray(value).reshape(-1).tolist()
    if form in _MANY:
        return [_MANY[form](item) for item in flat]
    if len(flat) != 1:
        raise ValueError(f"one {form} was expected, not {len(flat)}")
    return _ONE[form](flat[0])


def _natural(value: Any, dtype: DType | None) -> Any:
    """What a user's own operator is given: numbers and strings as Python has them, else tensors."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == object:
        return value.tolist()
    return to_tensor(value, dtype) if value.ndim else value.item()


def to_tensor(value: Any, dtype: DType | None) -> torch.Tensor:
    """An array as a tensor of the type in which the runtime computes."""
    import torch  # lazy: inspecting a model needs no torch

    array = np.asarray(value)
    name = dtype.torch if dtype is not None else ""
    if array.dtype == np.float16 and name == "float32" and array.flags.behaved:
        return torch.from_numpy(array).float()  # several times as fast as numpy
    if name and array.dtype != np.dtype(name):
        array = array.astype(name)
    if not array.flags.behaved or not array.flags.c_contiguous:
        array = np.array(array, order="C")  # torch wants aligned and writable memory
    return torch.from_numpy(array)


def _ints(value: torch.Tensor) -> list[int]:
    return [int(item) for item in value.reshape(-1).tolist()]


def _bools(value: torch.Tensor) -> list[bool]:
    return [bool(item) for item in value.reshape(-1).tolist()]


_MANY: dict[str, Callable[[Any], Any]] = {"Ints": int, "Bools": bool}
_ONE: dict[str, Callable[[Any], Any]] = {"int": int, "float": float, "bool": bool, "str": str}

# What generated code calls on a value that is known only while the program runs.
RUNTIME: dict[str, Callable[[Any], Any]] = {
    "Ints": _ints,
    "Bools": _bools,
    "int": int,
    "float": float,
    "bool": bool,
}
