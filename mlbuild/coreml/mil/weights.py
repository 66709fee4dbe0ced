"""The weight file of a package: a header, then blobs with 64 bytes of metadata each.

Layout (little endian), as coremltools' blob storage writes it::

    file:   count u32, version u32 (2), reserved to byte 64
    blob:   sentinel 0xDEADBEEF u32, type u32, bytes u64, data offset u64,
            unused bits at the end u64, reserved to 64 bytes

Sub-byte elements are packed from the least significant bit on and may straddle bytes. Every
offset is checked against the file, since a map read beyond its end would kill the process.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelFileError
from .dtypes import DType
from .program import Blob, Constant, Function

_SENTINEL = 0xDEADBEEF
_VERSION = 2
_METADATA = struct.Struct("<IIQQQ")
_METADATA_SIZE = 64
_MODEL_PATH = "@model_path/"

_TYPES = {
    1: "fp16", 2: "fp32", 3: "uint8", 4: "int8", 5: "bf16", 6: "int16", 7: "uint16", 8: "int4",
    9: "uint1", 10: "uint2", 11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """Where a blob's bytes lie and what they are."""

    dtype: str
    start: int
    size: int
    unused_bits: int


class WeightFiles:
    """The weight files of one model, mapped on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, Any] = {}
        self._touched: list[tuple[str, int, int]] = []

    def info(self, blob: Blob) -> BlobInfo:
        """The checked metadata of a blob."""
        data, place = self._data(blob.file), f"{blob.file} at {blob.offset}"
        if blob.offset + _METADATA_SIZE > len(data):
            raise ModelFileError(
                "the weight file is cut off: a blob lies behind its end",
                place=place,
                got=f"{len(data)} bytes",
            )
        sentinel, code, size, start, unused = _METADATA.unpack_from(data, blob.offset)
        if sentinel != _SENTINEL:
            raise ModelFileError("the weight file is corrupt: no blob begins here", place=place)
        if code not in _TYPES:
            raise ModelFileError("a blob of unknown type", place=place, got=f"type {code}")
        if start + size > len(data):
            raise ModelFileError(
                "the weight file is cut off: a blob ends behind its end",
                place=place,
                got=f"{len(data)} bytes, {start + size} needed",
            )
        return BlobInfo(_TYPES[code], start, size, unused)

    def check(self, function: Function) -> None:
        """Check the metadata of every blob that a function names, without reading any data."""
        for operation in function.body.walk():
            bindings = (b for given in operation.inputs.values() for b in given)
            for constant in (*operation.attributes.values(), *bindings):
                if isinstance(constant, Constant) and constant.blob is not None:
                    self.info(constant.blob)

    def read(self, blob: Blob, dtype: DType, count: int) -> Any:
        """The elements of a blob, flat: a view of the file, or unpacked where they are narrow."""
        info = self.info(blob)
        place = f"{blob.file} at {blob.offset}"
        stored = "uint8" if dtype.name == "bool" else dtype.name
        if info.dtype != stored:
            raise ModelFileError(
                "a blob's type is not the one that the program declares",
                place=place,
                got=info.dtype,
                allowed=(stored,),
            )
        needed = -(-count * dtype.bits // 8)
        if info.size != needed:
            raise ModelFileError(
                "a blob's size does not fit the declared shape",
                place=place,
                got=f"{info.size} bytes, {needed} needed for {count} x {dtype.name}",
            )
        data = self._data(blob.file)
        self._touched.append((blob.file, info.start, info.start + info.size))
        if dtype.bits < 8:
            packed = np.frombuffer(data, np.uint8, info.size, info.start)
            return unpack(packed, dtype, count)
        return np.frombuffer(data, np.dtype(dtype.storage), count, info.start)

    def release(self) -> None:
        """Let go of the memory behind all blobs read so far; views of them stay valid.

        A float16 weight is used as a float32 copy. Without this the pages that it was read from
        would count for this process as well until the system needs them elsewhere.
        """
        touched, self._touched = self._touched, []
        for name, start, end in touched:
            first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE  # whole pages of this blob only
            if end - first >= mmap.PAGESIZE and hasattr(mmap, "MADV_DONTNEED"):
                whole = (end - first) // mmap.PAGESIZE * mmap.PAGESIZE
                self._maps[name].madvise(mmap.MADV_DONTNEED, first, whole)

    def _data(self, name: str) -> Any:
        if name not in self._maps:
            self._maps[name] = _map(self._locate(name), name)
        return self._maps[name]

    def _locate(self, name: str) -> Path:
        folder = self._folder.resolve()
        file = (folder / name.removeprefix(_MODEL_PATH)).resolve()
        if not file.is_relative_to(folder):
            raise ModelFileError("a weight file lies outside of the package", place=name)
        return file


def _map(file: Path, name: str) -> Any:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            if size < _METADATA_SIZE:
                raise ModelFileError(
                    "the weight file is cut off: it has no header", place=name, got=f"{size} bytes"
                )
            # A private map, since torch warns about arrays that cannot be written.
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}", place=name) from error
    (version,) = struct.unpack_from("<I", data, 4)
    if version != _VERSION:
        raise ModelFileError(
            "a weight file of unknown version",
            place=name,
            got=str(version),
            allowed=(str(_VERSION),),
        )
    return data


def unpack(packed: Any, dtype: DType, count: int) -> Any:
    """Widen elements of fewer than eight bits to one byte each.

    Args:
        packed: uint8 of shape [ceil(count * bits / 8)].
        dtype: The narrow type.
        count: How many elements to read.

    Returns:
        int8 or uint8 of shape [count].

    Source: coremltools MIL op docs, iOS16 constexpr_lut_to_dense (order of the bit fields).
    """
    bits = dtype.bits
    flat = np.unpackbits(packed, bitorder="little", count=count * bits).reshape(count, bits)
    values = np.packbits(flat, axis=1, bitorder="little").reshape(count)
    if not dtype.signed:
        return values
    half = np.uint8(1 << (bits - 1))
    return ((values ^ half).astype(np.int8) - np.int8(1 << (bits - 1))).astype(np.int8)
