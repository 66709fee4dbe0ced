"""An ML Program in the form in which converters write it: protobuf and weight file, to be edited.

Constants are ``const`` operations of their own, which others name; big ones lie in the weight
file. Layouts: MIL.proto; weight file: ``mlbuild/coreml/mil/weights.py``.
"""

from __future__ import annotations

import copy
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlbuild.coreml.package import open_model

_METADATA = struct.Struct("<IIQQQ")
_STORED = {10: "<f2", 11: "<f4", 21: "<i1", 23: "<i4", 31: "<u1"}  # DataType -> numpy
_BOOL, _STRING, _HALF = 1, 2, 10
_FIELDS = {1: "bools", 2: "strings", 11: "floats", 23: "ints"}


class Program:
    """One package, read once; ``copy`` gives another to damage."""

    def __init__(self, package: Path) -> None:
        files = open_model(package)
        self.package, self.spec = package, files.spec
        self.model_file = files.spec_file.relative_to(package)
        self.weight_file = self.model_file.parent / "weights" / "weight.bin"
        weights = package / self.weight_file
        self.weights = bytearray(weights.read_bytes()) if weights.is_file() else bytearray()

    def copy(self) -> Program:
        """One whose edits leave this one alone."""
        made = copy.copy(self)
        made.spec = type(self.spec)()
        made.spec.CopyFrom(self.spec)
        made.weights = bytearray(self.weights)
        return made

    def same(self, other: Program) -> bool:
        """Whether both would write the same bytes."""
        mine, theirs = (p.spec.SerializeToString(deterministic=True) for p in (self, other))
        return mine == theirs and self.weights == other.weights

    def save(self, folder: Path) -> Path:
        """Write it as a package of the same name."""
        path = folder / self.package.name
        if path.exists():
            shutil.rmtree(path)
        shutil.copytree(self.package, path)
        (path / self.model_file).write_bytes(self.spec.SerializeToString(deterministic=True))
        if self.weights:
            (path / self.weight_file).write_bytes(bytes(self.weights))
        return path

    @property
    def block(self) -> Any:
        """The outermost block of the main function."""
        function = self.spec.mlProgram.functions["main"]
        return function.block_specializations[function.opset]

    def operations(self, *types: str) -> list[Any]:
        """Those that compute, in order; only of the given types if there are any."""
        return [
            o
            for o in self.block.operations
            if o.type in types or (not types and not _is_constant(o))
        ]

    def consumers(self, name: str) -> list[Any]:
        """The operations of the outermost block that read a value."""
        return [o for o in self.operations() if name in _read(o)]

    def argument(self, operation: Any, key: str) -> Any:
        """The constant operation or value behind an input; None where it is computed or absent."""
        if key in operation.attributes:
            return operation.attributes[key]
        arguments = operation.inputs[key].arguments if key in operation.inputs else ()
        if len(arguments) != 1:
            return None
        if arguments[0].WhichOneof("binding") == "value":
            return arguments[0].value
        return self._constant(arguments[0].name)

    def computed(self, operation: Any, key: str) -> str | None:
        """The name of the value behind an input, unless it is a constant."""
        arguments = operation.inputs[key].arguments if key in operation.inputs else ()
        if len(arguments) != 1 or self.argument(operation, key) is not None:
            return None
        return str(arguments[0].name)

    def own(self, operation: Any, key: str) -> Any:
        """A constant input as the operation's own value, so that nobody shares its edits."""
        value = self.argument(operation, key)
        if key in operation.inputs and value is not None:
            binding = operation.inputs[key].arguments[0]
            if binding.WhichOneof("binding") == "name":
                held = type(value)()
                held.CopyFrom(value)
                binding.value.CopyFrom(held)
                value = binding.value
        return value

    def get(self, value: Any) -> np.ndarray:
        """A constant's elements in its shape (float, int and bool types of whole bytes)."""
        tensor = value.type.tensorType
        shape = [d.constant.size for d in tensor.dimensions]
        if value.WhichOneof("value") == "blobFileValue":
            start, size = self._place(value)
            dtype = np.dtype(_STORED[tensor.dataType])
            return np.frombuffer(bytes(self.weights[start : start + size]), dtype).reshape(shape)
        held = value.immediateValue.tensor
        if tensor.dataType in _FIELDS:
            values = list(getattr(held, _FIELDS[tensor.dataType]).values)
            kind = {1: bool, 2: object, 11: np.float32, 23: np.int32}[tensor.dataType]
            return np.array(values, dtype=kind).reshape(shape)
        return np.frombuffer(held.bytes.values, np.dtype(_STORED[tensor.dataType])).reshape(shape)

    def put(self, value: Any, array: np.ndarray) -> None:
        """Replace a constant's elements; type and shape stay."""
        tensor = value.type.tensorType
        if value.WhichOneof("value") == "blobFileValue":
            data = np.ascontiguousarray(array, np.dtype(_STORED[tensor.dataType])).tobytes()
            value.blobFileValue.offset = self._append(value.blobFileValue.offset, data)
            return
        held = value.immediateValue.tensor
        if tensor.dataType in _FIELDS:
            field = getattr(held, _FIELDS[tensor.dataType])
            del field.values[:]
            field.values.extend(np.asarray(array).reshape(-1).tolist())
        else:
            dtype = np.dtype(_STORED[tensor.dataType])
            held.bytes.values = np.ascontiguousarray(array, dtype).tobytes()

    def can_read(self, value: Any) -> bool:
        """Whether ``get`` knows its type."""
        return (
            value is not None
            and value.type.WhichOneof("type") == "tensorType"
            and (value.type.tensorType.dataType in (*_FIELDS, *_STORED))
        )

    def insert(self, before: Any, made: Any) -> None:
        """Put an operation in front of another."""
        place = [o.outputs[0].name if o.outputs else "" for o in self.block.operations].index(
            before.outputs[0].name
        )
        rest = [copy.deepcopy(o) for o in self.block.operations[place:]]
        del self.block.operations[place:]
        self.block.operations.append(made)
        self.block.operations.extend(rest)

    def remove(self, name: str) -> None:
        """Take out the operation that makes a value."""
        for place, operation in enumerate(self.block.operations):
            if operation.outputs and operation.outputs[0].name == name:
                del self.block.operations[place]
                return

    def rewire(self, old: str, new: str, skip: str = "") -> None:
        """Let all who read one value, in any depth, read another; ``skip`` makes an exception."""
        for operation in _walk(self.block):
            if operation.outputs and operation.outputs[0].name == skip:
                continue
            for argument in operation.inputs.values():
                for binding in argument.arguments:
                    if binding.WhichOneof("binding") == "name" and binding.name == old:
                        binding.name = new

    def find(self, name: str) -> Any:
        """The operation that makes a value."""
        for operation in self.block.operations:
            if any(made.name == name for made in operation.outputs):
                return operation
        raise KeyError(name)

    def _constant(self, name: str) -> Any:
        for operation in self.block.operations:
            if operation.type == "const" and operation.outputs[0].name == name:
                return operation.attributes["val"]
        return None

    def _append(self, like: int, data: bytes) -> int:
        """A further blob of the type of another one, since several constants may share that."""
        sentinel, code, size, start, unused = _METADATA.unpack_from(self.weights, like)
        if bytes(self.weights[start : start + size]) == data:
            return like
        self.weights.extend(bytes(-len(self.weights) % 64))
        offset = len(self.weights)
        self.weights.extend(bytes(64))
        _METADATA.pack_into(self.weights, offset, sentinel, code, len(data), offset + 64, unused)
        self.weights.extend(data)
        (count,) = struct.unpack_from("<I", self.weights)
        struct.pack_into("<I", self.weights, 0, count + 1)
        return offset

    def _place(self, value: Any) -> tuple[int, int]:
        offset = value.blobFileValue.offset
        _, _, size, start, _ = _METADATA.unpack_from(self.weights, offset)
        return start, size


def shape_of(value_type: Any) -> tuple[int, ...]:
    """Of a value's type."""
    return tuple(d.constant.size for d in value_type.tensorType.dimensions)


def same_type(one: Any, other: Any) -> bool:
    """Whether two value types are equal."""
    return one.SerializeToString() == other.SerializeToString()


def _is_constant(operation: Any) -> bool:
    return operation.type == "const" or operation.type.startswith("constexpr_")


def _read(operation: Any) -> set[str]:
    names = {b.name for a in operation.inputs.values() for b in a.arguments}
    for block in operation.blocks:
        for inner in block.operations:
            names |= _read(inner)
    return names


def _walk(block: Any) -> Iterator[Any]:
    for operation in block.operations:
        yield operation
        for inner in operation.blocks:
            yield from _walk(inner)
