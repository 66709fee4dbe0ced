"""The mean that Caffe subtracts from pictures: a BlobProto in a .binaryproto.

Source: caffe.proto, BlobProto: num, channels, height, width = 1 to 4, data = 5 (packed floats),
shape = 7 (BlobShape, dim = 1).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Iterator, List, Tuple  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..problem.problem import Problem


def read_mean(file: Path) -> np.ndarray:
    """The values, float32, shape [C, H, W].

    Raises:
        Problem: it is no such file.
    """
    sizes, dims, values = {}, [], b""
    try:
        for field, value in _fields(file.read_bytes()):
            if field <= 4 and isinstance(value, int):
                sizes[field] = value
            elif field == 5 and isinstance(value, bytes):
                values += value
            elif field == 7 and isinstance(value, bytes):
                dims = _dims(value)
    except (IndexError, struct.error) as error:
        raise Problem(f"{file.name} is no mean that Caffe wrote") from error
    shape = dims or [sizes.get(n, 1) for n in (1, 2, 3, 4)]
    array = np.frombuffer(values, dtype="<f4") if len(values) % 4 == 0 else np.zeros(0)
    if not len(array) or array.size != int(np.prod(shape)) or len(shape) < 3:
        raise Problem(f"{file.name} is no mean that Caffe wrote: {array.size} values of {shape}")
    return array.reshape(shape[-3:]).astype(np.float32)


def write_mean(file: Path, values: np.ndarray) -> None:
    """A mean [C, H, W] in the form that coremltools reads: three sizes, no batch."""
    shape = b"".join(_packed(size) for size in values.shape)
    data = values.astype("<f4").tobytes()
    file.write_bytes(_sized(5, data) + _sized(7, _sized(1, shape)))


def _sized(field: int, data: bytes) -> bytes:
    return _packed(field << 3 | 2) + _packed(len(data)) + data


def _packed(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def _dims(data: bytes) -> List[int]:  # noqa: UP006
    found: List[int] = []  # noqa: UP006
    for field, value in _fields(data):
        if field == 1 and isinstance(value, int):
            found.append(value)
        elif field == 1:
            place = 0
            while place < len(value):
                number, place = _varint(value, place)
                found.append(number)
    return found


def _fields(data: bytes) -> Iterator[Tuple[int, object]]:  # noqa: UP006
    """Numbers and values of a message's fields."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield field, value
        elif wire == 2:
            length, place = _varint(data, place)
            if place + length > len(data):
                raise IndexError(place)
            yield field, data[place : place + length]
            place += length
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
            yield field, data[place : place + length]
            place += length
        else:
            raise IndexError(place)


def _varint(data: bytes, place: int) -> Tuple[int, int]:  # noqa: UP006
    result = shift = 0
    while True:
        byte = data[place]
        place += 1
        result |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return result, place
