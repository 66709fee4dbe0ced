"""Reader of a package's ``weight.bin``: what one stored tensor is, without loading all of them.

Source: the layout that coremltools' MIL blob storage writes (a 64-byte header for the file, then
for each tensor a 64-byte record that starts with 0xDEADBEEF and points at the data).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np

_SENTINEL = 0xDEADBEEF
_RECORD = struct.Struct(
    "<IIQQQ"
)  # sentinel, type, bytes, offset of the data, unused bits at its end
_RECORD_BYTES = 64

# MIL data type -> (name, bits, numpy type of one element or None where elements are packed).
_TYPES: dict[str, tuple[int, Any]] = {
    "FLOAT16": (16, np.float16),
    "FLOAT32": (32, np.float32),
    "INT8": (8, np.int8),
    "UINT8": (8, np.uint8),
    "INT16": (16, np.int16),
    "UINT16": (16, np.uint16),
    "INT32": (32, np.int32),
    "UINT32": (32, np.uint32),
    "INT4": (4, None),
    "UINT6": (6, None),
    "UINT4": (4, None),
    "UINT3": (3, None),
    "UINT2": (2, None),
    "UINT1": (1, None),
}


class WeightFileError(ValueError):
    """The weight file does not hold what the model says it holds."""


def bits_of(type_name: str) -> int:
    """Bits of one stored element of a MIL data type; 0 where it is none that is stored."""
    return _TYPES[type_name][0] if type_name in _TYPES else 0


class WeightFile:
    """One open ``weight.bin``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A model whose constants are all tiny has no weight file, and none is missed then.
        self.size = path.stat().st_size if path.is_file() else 0
        self._map: mmap.mmap | bytes = b""
        if self.size:
            with path.open("rb") as data:
                self._map = mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ)

    def bytes_at(self, offset: int) -> bytes:
        """The stored bytes of the tensor whose record stands at ``offset``.

        Raises:
            WeightFileError: the file is missing or cut off, or holds no record at that place.
        """
        if not self.path.is_file():
            raise WeightFileError(f"{self.path.name} is missing from the package")
        if offset + _RECORD_BYTES > self.size:
            raise WeightFileError(
                f"{self.path.name} is cut off: a weight should start at byte {offset}, "
                f"the file has {self.size}"
            )
        sentinel, _, length, start, _ = _RECORD.unpack_from(self._map, offset)
        if sentinel != _SENTINEL:
            raise WeightFileError(f"{self.path.name} is damaged: no weight at byte {offset}")
        if start + length > self.size:
            raise WeightFileError(
                f"{self.path.name} is cut off: a weight of {length} bytes should start at byte "
                f"{start}, the file has {self.size}"
            )
        return bytes(self._map[start : start + length])

    def array_at(self, offset: int, type_name: str, count: int) -> np.ndarray:
        """The stored elements, flat; packed integers come back one to a byte (uint8)."""
        raw, (bits, numpy_type) = self.bytes_at(offset), _TYPES[type_name]
        if numpy_type is not None:
            return np.frombuffer(raw, numpy_type, count)
        # Packed elements follow one another, the lowest bit first.
        ones = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[: count * bits]
        places = (1 << np.arange(bits)).astype(np.uint8)
        return (ones.reshape(count, bits) * places).sum(axis=1, dtype=np.uint8)
