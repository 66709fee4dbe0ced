"""Constants of a program as numpy arrays, Python lists, strings and dictionaries.

Source: Core ML specification, MIL.proto, messages Value and TensorValue; which field holds which
element type follows what coremltools writes: fp16, 8-bit and narrower integers as bytes, 16-bit
integers as ints.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelFileError, UnsupportedError
from .dtypes import DType, ValueType
from .program import Constant
from .weights import WeightFiles, unpack


def decode(constant: Constant, weights: WeightFiles, place: str) -> Any:
    """The value of a constant.

    Returns:
        For tensors an array of the declared shape in the element type's storage type; a string
        for a scalar string; lists and dictionaries for the other kinds.
    """
    declared = constant.type
    if constant.blob is not None:
        if declared.kind != "tensor" or declared.dtype is None:
            raise ModelFileError(f"a weight file cannot hold a {declared.kind}", place=place)
        flat = weights.read(constant.blob, declared.dtype, _count(declared, place))
        return _shaped(_real(flat, declared.dtype), declared)
    return _immediate(constant.message.immediateValue, declared, place)


def immediate(constant: Constant, place: str) -> Any:
    """The value of a constant that is written into the program itself."""
    if constant.blob is not None:
        raise ModelFileError("a value that must not lie in a weight file", place=place)
    return _immediate(constant.message.immediateValue, constant.type, place)


def _immediate(message: Any, declared: ValueType, place: str) -> Any:
    kind = message.WhichOneof("value")
    if kind is None and declared.kind == "list":
        return []
    if kind == "tensor":
        return _tensor(message.tensor, declared, place)
    if kind == "list":
        item = declared.items[0] if declared.items else ValueType("tensor")
        return [_immediate(value.immediateValue, item, place) for value in message.list.values]
    if kind == "tuple":
        pairs = zip(message.tuple.values, declared.items, strict=True)
        return tuple(_immediate(value.immediateValue, item, place) for value, item in pairs)
    raise UnsupportedError(f"a constant of this kind: {kind}", place=place)


def _tensor(message: Any, declared: ValueType, place: str) -> Any:
    dtype = declared.dtype
    if dtype is None:
        raise ModelFileError(f"a tensor where a {declared.kind} was declared", place=place)
    count = _count(declared, place)
    field = message.WhichOneof("value")
    if field == "strings":
        strings = list(message.strings.values)
        _check_count(len(strings), count, place)
        return strings[0] if not declared.shape else np.array(strings, object)
    if field == "bytes":
        return _shaped(_from_bytes(message.bytes.values, dtype, count, place), declared)
    if field is None:
        _check_count(0, count, place)
        return np.empty([d or 0 for d in declared.shape], dtype.storage)
    values = getattr(message, field).values
    _check_count(len(values), count, place)
    try:
        flat = np.array(values, dtype=np.dtype(dtype.storage))
    except (OverflowError, ValueError) as error:
        raise ModelFileError(f"a constant's values are no {dtype.name}", place=place) from error
    return _shaped(flat, declared)


def _from_bytes(data: bytes, dtype: DType, count: int, place: str) -> Any:
    needed = -(-count * dtype.bits // 8)
    if len(data) != needed:
        raise ModelFileError(
            "a constant's bytes do not fit its shape",
            place=place,
            got=f"{len(data)} bytes, {needed} needed",
        )
    if dtype.bits < 8:
        return unpack(np.frombuffer(data, np.uint8), dtype, count)
    return _real(np.frombuffer(data, np.dtype(dtype.storage)), dtype)


def _real(flat: Any, dtype: DType) -> Any:
    if dtype.name == "bf16":  # the upper half of a float32
        return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat


def _shaped(flat: Any, declared: ValueType) -> Any:
    return flat.reshape([d or 0 for d in declared.shape])


def _count(declared: ValueType, place: str) -> int:
    if declared.size is None:
        raise ModelFileError("a constant of unknown shape", place=place, got=str(declared))
    return declared.size


def _check_count(got: int, needed: int, place: str) -> None:
    if got != needed:
        raise ModelFileError(
            "a constant's number of values does not fit its shape",
            place=place,
            got=f"{got} values, {needed} needed",
        )
