"""The weights of a Core ML program as they are stored: one record for each use by an operator.

Read from the package itself and not from what a library believes it wrote, so that the check of
what was reached is a check.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .blobs import WeightFile, WeightFileError, bits_of
from .inner import place_of_program

IOS15, IOS16, IOS18 = 6, 7, 9  # specification versions
TARGETS = {6: "iOS15", 7: "iOS16", 8: "iOS17", 9: "iOS18", 10: "iOS26"}

# What a constant expression does to its data; joined by "+" when one feeds the other.
_SCHEMES = {
    "constexpr_affine_dequantize": "linear",
    "constexpr_blockwise_shift_scale": "linear",
    "constexpr_sparse_blockwise_shift_scale": "linear",
    "constexpr_lut_to_dense": "palette",
    "constexpr_lut_to_sparse": "palette",
    "constexpr_sparse_to_dense": "sparse",
    "constexpr_cast": "cast",
}
# The operand that holds the elements; the others (tables, scales, masks) come on top.
_DATA = ("quantized_data", "data", "indices", "indices_nonzero_data", "nonzero_data", "source_val")


class ModelError(ValueError):
    """The model cannot be compressed at all."""


# coremltools narrows the indices of a gather each time that its passes run, and renames it then:
# var_20 becomes op_20_cast_uint16.
_NARROWED = re.compile(r"^(?:var|op)_(?=\d)|(?:_cast_u?int16)+$")


@dataclass(frozen=True)
class Weight:
    """One constant as one operator's operand."""

    name: str  # of the constant, or of the constant expression that makes it
    use: str  # "operator output/operand": what stays the same when the weight is compressed
    op: str
    op_name: str
    operand: str
    shape: tuple[int, ...]
    depthwise: bool
    stored: str  # "float16", "palette", "linear", "sparse", "sparse+palette", ...
    bits: float  # of one element of the data, as stored
    sparsity: float | None  # share of zeros, where the storage is sparse
    bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass
class Program:
    """The operators of a model and its weight file."""

    spec: Any
    weight_file: WeightFile
    producers: dict[str, Any]  # output name -> operator
    operations: list[Any]
    types: Any  # the MIL_pb2 module


def read_weights(package: Path) -> tuple[int, list[Weight]]:
    """All weights that stand in the weight file, in the order of the program.

    Returns:
        The specification version and the weights.

    Raises:
        ModelError: no ML Program.
        WeightFileError: the weight file is missing, cut off or damaged.
    """
    program = _open(package)
    weights = []
    for op in program.operations:
        if op.type == "const" or op.type.startswith("constexpr_"):
            continue
        for operand, argument in sorted(op.inputs.items()):
            for place, binding in enumerate(argument.arguments):
                source = program.producers.get(binding.name)
                if source is not None:
                    slot = operand if len(argument.arguments) == 1 else f"{operand}[{place}]"
                    weight = _weight(program, op, slot, source)
                    if weight is not None:
                        weights.append(weight)
    return program.spec.specificationVersion, weights


def _open(package: Path) -> Program:
    # Inside the function: the import of coremltools costs 1.5 s, and specs' tests do without.
    from coremltools.proto import MIL_pb2, Model_pb2

    files = sorted(Path(package).glob("Data/*/*.mlmodel"))
    if len(files) != 1:
        raise ModelError(f"{Path(package).name} is not an .mlpackage with one model in it")
    spec = Model_pb2.Model()
    try:
        spec.ParseFromString(files[0].read_bytes())
    except Exception as error:  # protobuf's DecodeError differs between its implementations
        raise ModelError(f"{files[0].name} is no Core ML model, or cut off: {error}") from error
    place = place_of_program(spec)
    if place is not None:
        spec = spec.pipeline.models[place]
    if spec.WhichOneof("Type") != "mlProgram":
        kind = spec.WhichOneof("Type") or "nothing"
        raise ModelError(f"weights of ML Programs can be compressed, this model is: {kind}")
    if len(spec.mlProgram.functions) != 1:
        raise ModelError("models of several functions cannot be compressed: split them first")
    operations: list[Any] = []
    for function in spec.mlProgram.functions.values():
        _collect(function.block_specializations[function.opset].operations, operations)
    producers = {out.name: op for op in operations for out in op.outputs}
    weight_file = WeightFile(files[0].parent / "weights" / "weight.bin")
    return Program(spec, weight_file, producers, operations, MIL_pb2)


def _collect(operations: Any, into: list[Any]) -> None:
    for op in operations:
        into.append(op)
        for block in op.blocks:
            _collect(block.operations, into)


def _weight(program: Program, op: Any, operand: str, source: Any) -> Weight | None:
    if not (source.type == "const" or source.type.startswith("constexpr_")):
        return None
    parts = _parts(program, source)
    if source.type == "const" and parts[0].offset is None:
        return None  # a value of a few bytes that stands in the model file
    shape = _shape(source.outputs[-1].type.tensorType)
    schemes = list(dict.fromkeys(s for part in parts for s in part.schemes))
    data = max(parts, key=lambda part: part.rank)
    return Weight(
        name=_name(source),
        use=f"{_NARROWED.sub('', op.outputs[0].name)}/{operand}",
        op=op.type,
        op_name=_name(op),
        operand=operand,
        shape=shape,
        depthwise=_depthwise(program, op, operand, shape),
        stored="+".join(sorted(schemes, reverse=True)) or data.type.lower(),
        bits=data.bits,
        sparsity=next((p.sparsity for p in parts if p.sparsity is not None), None),
        bytes=_bytes(parts),
    )


def _bytes(parts: list[_Part]) -> int:
    # A sparse weight's mask feeds two expressions, and is stored once.
    filed = {part.offset: part.bytes for part in parts if part.offset is not None}
    return sum(filed.values()) + sum(part.bytes for part in parts if part.offset is None)


@dataclass(frozen=True)
class _Part:
    """One stored operand of a weight; rank orders them by how much they are *the* data."""

    rank: int
    type: str
    bits: float
    bytes: int
    schemes: tuple[str, ...]
    offset: int | None = None  # in the weight file
    sparsity: float | None = None


def _parts(
    program: Program, source: Any, rank: int = 1, above: tuple[str, ...] = ()
) -> list[_Part]:
    if source.type == "const":
        return [_stored(program, source.attributes["val"], rank, above)]
    scheme = _SCHEMES.get(source.type)
    if scheme is None:
        raise ModelError(f"unknown constant expression {source.type!r} in {_name(source)!r}")
    schemes = (*above, scheme)
    parts: list[_Part] = []
    for operand, value in sorted(source.attributes.items()):
        if operand != "name":
            parts.append(_leaf(program, source, operand, value, rank, schemes))
    for operand, argument in sorted(source.inputs.items()):
        binding = argument.arguments[0]
        inner = rank if operand in _DATA else 0
        feeding = program.producers.get(binding.name)
        if feeding is None:
            below = [_stored(program, binding.value, inner, schemes if inner else (scheme,))]
        else:
            below = _parts(program, feeding, inner, schemes if inner else (scheme,))
        if operand.endswith("mask"):
            below = [_masked(program, _value(program, binding), part) for part in below]
        elif operand.startswith("indices"):
            below = [_per_element(program, source, part) for part in below]
        parts += below
    return parts


def _leaf(
    program: Program, source: Any, operand: str, value: Any, rank: int, schemes: Any
) -> _Part:
    """An operand that stands in the constant expression itself (iOS16 and iOS17)."""
    part = _stored(program, value, rank if operand in _DATA else 0, schemes)
    if operand == "mask":
        return _masked(program, value, part, source)
    if operand == "indices":  # packed into bytes there: the table's length tells the bits
        table = _shape(source.attributes["lut"].type.tensorType)[0]
        return replace(part, bits=(table - 1).bit_length())
    return part


def _stored(program: Program, value: Any, rank: int, schemes: tuple[str, ...]) -> _Part:
    tensor = value.type.tensorType
    name = program.types.DataType.Name(tensor.dataType)
    if value.WhichOneof("value") != "blobFileValue":
        count = math.prod(_shape(tensor))
        return _Part(rank, name, bits_of(name), count * bits_of(name) // 8, schemes)
    offset = value.blobFileValue.offset
    stored = program.weight_file.bytes_at(offset)
    return _Part(rank, name, bits_of(name), len(stored), schemes, offset)


def _masked(program: Program, value: Any, part: _Part, source: Any = None) -> _Part:
    if value.WhichOneof("value") != "blobFileValue":
        return part
    # iOS16 packs the mask into bytes and gives the weight's shape; later it is an array of bits.
    shape = _shape(source.outputs[-1].type.tensorType if source else value.type.tensorType)
    count = math.prod(shape)
    kept = program.weight_file.array_at(value.blobFileValue.offset, "UINT1", count)
    zeros = 1.0 - float(kept.sum(dtype="int64")) / max(count, 1)
    return replace(part, rank=0, sparsity=zeros)


def _per_element(program: Program, source: Any, part: _Part) -> _Part:
    """With vector palettes one index stands for several elements."""
    table = _type(program, source.inputs["lut"].arguments[0])
    length = _shape(table)[-1] if table is not None else 1
    return replace(part, bits=part.bits / max(length, 1))


def _type(program: Program, binding: Any) -> Any:
    feeding = program.producers.get(binding.name)
    if feeding is not None:
        return feeding.outputs[-1].type.tensorType
    return binding.value.type.tensorType


def _value(program: Program, binding: Any) -> Any:
    """The constant of a binding; an empty one where another expression computes it."""
    feeding = program.producers.get(binding.name)
    if feeding is None:
        return binding.value
    return feeding.attributes["val"] if feeding.type == "const" else program.types.Value()


def _depthwise(program: Program, op: Any, operand: str, shape: tuple[int, ...]) -> bool:
    if op.type != "conv" or operand != "weight" or len(shape) < 3 or shape[1] != 1:
        return False
    groups = program.producers.get(op.inputs["groups"].arguments[0].name)
    if groups is None:
        return False
    values = groups.attributes["val"].immediateValue.tensor.ints.values
    return bool(values) and values[0] > 1


def _name(op: Any) -> str:
    named = op.attributes["name"].immediateValue.tensor.strings.values if op.attributes else ()
    return named[0] if named else op.outputs[0].name


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(dimension.constant.size for dimension in tensor.dimensions)


__all__ = [
    "IOS15",
    "IOS16",
    "IOS18",
    "TARGETS",
    "ModelError",
    "Weight",
    "WeightFileError",
    "read_weights",
]
