"""Weights of a NeuralNetwork: from a WeightParams message to a float32 tensor.

Source: Core ML specification, NeuralNetwork.proto, WeightParams, QuantizationParams,
LinearQuantizationParams and LookUpTableQuantizationParams. The bits of quantized values follow
each other from the highest bit of the first byte on, as coremltools' quantization_utils packs
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch

from ..errors import ModelFileError

_ENCODINGS = ("floatValue", "float16Value", "rawValue", "int8RawValue")


@dataclass(frozen=True, slots=True)
class Trainable:
    """A weight that training changes.

    Attributes:
        tensor: The leaf tensor that the layer computes with; requires a gradient.
        message: The WeightParams it was read from; ``write_weight`` puts it back.
    """

    tensor: torch.Tensor
    message: Any


def find_weight(params: Any, path: str, place: str) -> Any:
    """The WeightParams at a path of fields and indexes, as "weightParams.0.inputGateBiasVector".

    Raises:
        ModelFileError: It is not set.
    """
    for part in path.split("."):
        if part.isdigit():
            found = params[int(part)] if int(part) < len(params) else None
        else:
            found = getattr(params, part)
            found = found if not _is_message(found) or params.HasField(part) else None
        if found is None:
            raise ModelFileError(f"the weight '{path}' is missing", place=place)
        params = found
    return params


def read_weight(
    message: Any, shape: tuple[int, ...], place: str, channels: int = 0
) -> torch.Tensor:
    """Read a WeightParams.

    Args:
        message: The WeightParams.
        shape: What it holds, in row-major order; (-1,) for as many values as there are.
        place: For messages: the layer and the field.
        channels: The axis that has a scale and bias of its own for each index, where a linear
            quantization has several.

    Returns:
        float32 of the shape, in memory of its own.

    Raises:
        ModelFileError: The size is not that of the shape, or the encoding is malformed.
    """
    used = [name for name in _ENCODINGS if len(getattr(message, name))]
    if len(used) > 1:
        raise ModelFileError(
            "a weight is stored in more than one way", place=place, got=", ".join(used)
        )
    encoding = used[0] if used else "floatValue"
    if shape == (-1,):
        shape = (_count(message, encoding),)
    if encoding == "floatValue":
        values = _floats(message)
    elif encoding == "float16Value":
        values = _halves(message.float16Value, place)
    else:
        values = _quantized(message, encoding, shape, place, channels)
    if values.size != prod(shape):
        raise ModelFileError(
            "a weight has the wrong size",
            place=place,
            got=f"{values.size} values",
            allowed=(f"{prod(shape)} for the shape {list(shape)}",),
        )
    return torch.from_numpy(values.reshape(shape))


def write_weight(message: Any, tensor: torch.Tensor) -> None:
    """Store a tensor in a WeightParams as float32, whatever encoding it had."""
    updatable = message.isUpdatable
    message.Clear()
    message.isUpdatable = updatable
    message.floatValue.extend(tensor.detach().reshape(-1).tolist())


def _count(message: Any, encoding: str) -> int:
    size = len(getattr(message, encoding))
    if encoding == "float16Value":
        return size // 2
    if encoding == "rawValue":
        return size * 8 // max(1, int(message.quantization.numberOfBits))
    return size


def _is_message(value: Any) -> bool:
    return hasattr(value, "DESCRIPTOR")


def _floats(message: Any) -> Any:
    """The repeated floats by way of the wire format, where they lie as one block of bytes.

    Reading them one by one makes a Python object of each.
    """
    if len(message.floatValue) < 64:
        return np.array(message.floatValue, dtype=np.float32)
    copy = type(message)()
    copy.floatValue.MergeFrom(message.floatValue)
    data = copy.SerializeToString()
    start = 1  # tag of field 1, packed; then the length in bytes, seven bits at a time
    while data[start] & 0x80:
        start += 1
    return np.frombuffer(data, dtype="<f4", offset=start + 1).astype(np.float32)


def _halves(data: bytes, place: str) -> Any:
    if len(data) % 2:
        raise ModelFileError("a float16 weight is cut off", place=place, got=f"{len(data)} bytes")
    return np.frombuffer(data, dtype="<f2").astype(np.float32)


def _quantized(
    message: Any, encoding: str, shape: tuple[int, ...], place: str, channels: int
) -> Any:
    bits = 8 if encoding == "int8RawValue" else int(message.quantization.numberOfBits)
    if not 1 <= bits <= 8:
        raise ModelFileError(
            "a weight is quantized to a number of bits that does not exist",
            place=place,
            got=str(bits),
            allowed=("1 to 8",),
        )
    data = np.frombuffer(getattr(message, encoding), dtype=np.uint8)
    needed = -(-prod(shape) * bits // 8)
    if data.size != needed:
        raise ModelFileError(
            "a quantized weight has the wrong size",
            place=place,
            got=f"{data.size} bytes",
            allowed=(f"{needed} for the shape {list(shape)} at {bits} bits",),
        )
    codes = data if bits == 8 else _unpack(data, bits, prod(shape))
    if encoding == "int8RawValue":
        codes = codes.view(np.int8)
    kind = message.quantization.WhichOneof("QuantizationType")
    if kind == "linearQuantization":
        linear = message.quantization.linearQuantization
        return _linear(codes.reshape(shape), linear, place, channels)
    if kind == "lookupTableQuantization" and encoding == "rawValue":
        return _look_up(codes, message.quantization.lookupTableQuantization, bits, place)
    raise ModelFileError(
        "a quantized weight says not how",
        place=place,
        got=str(kind),
        allowed=("linearQuantization", "lookupTableQuantization (not with int8RawValue)"),
    )


def _unpack(data: Any, bits: int, count: int) -> Any:
    """Codes of 1 to 7 bits, highest bit first."""
    flat = np.unpackbits(data)[: count * bits].reshape(count, bits)
    return (flat @ (1 << np.arange(bits - 1, -1, -1))).astype(np.uint8)


def _linear(codes: Any, linear: Any, place: str, channels: int) -> Any:
    scale = np.array(linear.scale, dtype=np.float32)
    bias = np.array(linear.bias, dtype=np.float32)
    size = codes.shape[channels] if codes.ndim > 1 else 1
    for name, values, least in (("scale", scale, 1), ("bias", bias, 0)):
        if values.size not in (1, size) and (values.size or least):
            raise ModelFileError(
                f"a quantized weight has the wrong number of {name} values",
                place=place,
                got=str(values.size),
                allowed=tuple(str(n) for n in sorted({1, size})),
            )
    wide = [1] * codes.ndim
    if codes.ndim:
        wide[channels] = -1
    values = codes.astype(np.float32) * scale.reshape(wide)
    return values + bias.reshape(wide) if bias.size else values


def _look_up(codes: Any, table: Any, bits: int, place: str) -> Any:
    values = np.array(table.floatValue, dtype=np.float32)
    if values.size != 1 << bits:
        raise ModelFileError(
            "a look-up table has the wrong size",
            place=place,
            got=str(values.size),
            allowed=(f"{1 << bits} for {bits} bits",),
        )
    return values[codes]
