"""Element types and value types of ML Programs.

Source: Core ML specification, MIL.proto, enum DataType and message ValueType.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class DType:
    """An element type: its code in MIL.proto, its width, and how it is stored unpacked.

    Attributes:
        storage: numpy's name of the smallest type that holds each value in an own element.
        torch: torch's name of the type in which the runtime computes: float16 values are kept
            as float32 numbers that float16 can represent, and unsigned types that torch lacks
            are widened.
    """

    name: str
    code: int
    bits: int
    storage: str
    torch: str

    @property
    def is_float(self) -> bool:
        """Whether values have a fraction."""
        return self.name.startswith(("fp", "bf"))

    @property
    def signed(self) -> bool:
        """Whether values may be negative."""
        return not self.name.startswith(("uint", "bool"))


_TABLE = (
    DType("bool", 1, 8, "bool", "bool"),
    DType("string", 2, 0, "object", ""),
    DType("fp16", 10, 16, "float16", "float32"),
    DType("fp32", 11, 32, "float32", "float32"),
    DType("fp64", 12, 64, "float64", "float64"),
    DType("bf16", 13, 16, "uint16", "float32"),
    DType("int8", 21, 8, "int8", "int8"),
    DType("int16", 22, 16, "int16", "int16"),
    DType("int32", 23, 32, "int32", "int32"),
    DType("int64", 24, 64, "int64", "int64"),
    DType("int4", 25, 4, "int8", "int8"),
    DType("uint8", 31, 8, "uint8", "uint8"),
    DType("uint16", 32, 16, "uint16", "int32"),
    DType("uint32", 33, 32, "uint32", "int64"),
    DType("uint64", 34, 64, "uint64", "int64"),
    DType("uint4", 35, 4, "uint8", "uint8"),
    DType("uint2", 36, 2, "uint8", "uint8"),
    DType("uint1", 37, 1, "uint8", "uint8"),
    DType("uint6", 38, 6, "uint8", "uint8"),
    DType("uint3", 39, 3, "uint8", "uint8"),
)
BY_CODE = {dtype.code: dtype for dtype in _TABLE}
BY_NAME = {dtype.name: dtype for dtype in _TABLE}


@dataclass(frozen=True)
class ValueType:
    """The declared type of one value.

    ``kind`` is tensor, list, tuple, dictionary or state. A dimension of None is unknown until
    the model runs; ``dtype`` is None where the kind has no element type of its own.
    """

    kind: str
    dtype: DType | None = None
    shape: tuple[int | None, ...] = ()
    items: tuple[ValueType, ...] = ()

    @cached_property
    def size(self) -> int | None:
        """The number of elements, if it is known."""
        count = 1
        for dimension in self.shape:
            if dimension is None:
                return None
            count *= dimension
        return count

    def __str__(self) -> str:
        if self.kind == "tensor" and self.dtype is not None:
            if not self.shape:
                return self.dtype.name
            dimensions = ", ".join("?" if d is None else str(d) for d in self.shape)
            return f"{self.dtype.name}[{dimensions}]"
        inner = ", ".join(str(item) for item in self.items)
        return f"{self.kind}<{inner}>" if inner else self.kind
