"""From the messages of MIL.proto to an ML Program of plain facts, checked on the way.

Source: Core ML specification, MIL.proto.
"""

from __future__ import annotations

from typing import Any

from ..errors import ModelFileError, UnsupportedError
from .dtypes import BY_CODE, ValueType
from .program import Binding, Blob, Block, Constant, Function, Operation, Output, Reference

_MAX_ELEMENTS = 2**32  # no value of a real model comes near; absurd shapes must not be allocated
_MAX_DEPTH = 64


def read_function(program: Any, name: str | None = None) -> Function:
    """Read one function of a program; without a name the only one, or ``main``."""
    names = sorted(program.functions)
    if not names:
        raise ModelFileError("the program holds no function")
    if name is None:
        name = names[0] if len(names) == 1 else "main"
    if name not in names:
        raise ModelFileError("there is no such function", got=name, allowed=names)
    message = program.functions[name]
    if not message.block_specializations:
        raise ModelFileError("the function holds no block", place=name)
    opset = message.opset
    if opset not in message.block_specializations:
        raise ModelFileError(
            "no block for the function's own opset",
            place=name,
            got=opset,
            allowed=sorted(message.block_specializations),
        )
    inputs = tuple(_output(given, name) for given in message.inputs)
    body = _block(message.block_specializations[opset], name, 0)
    _check_names(body, {given.name for given in inputs}, name)
    return Function(name, opset, inputs, body)


def read_type(message: Any, place: str, depth: int = 0) -> ValueType:
    """Read a ValueType."""
    if depth > _MAX_DEPTH:
        raise ModelFileError("a type is nested too deeply", place=place)
    kind = message.WhichOneof("type")
    if kind == "tensorType":
        return _tensor_type(message.tensorType, place)
    if kind == "listType":
        return ValueType("list", items=(read_type(message.listType.type, place, depth + 1),))
    if kind == "tupleType":
        items = tuple(read_type(item, place, depth + 1) for item in message.tupleType.types)
        return ValueType("tuple", items=items)
    if kind == "dictionaryType":
        pair = message.dictionaryType
        items = (
            read_type(pair.keyType, place, depth + 1),
            read_type(pair.valueType, place, depth + 1),
        )
        return ValueType("dictionary", items=items)
    if kind == "stateType":
        wrapped = read_type(message.stateType.wrappedType, place, depth + 1)
        return ValueType("state", wrapped.dtype, wrapped.shape, (wrapped,))
    raise ModelFileError("a value has no type", place=place)


def _tensor_type(message: Any, place: str) -> ValueType:
    dtype = BY_CODE.get(message.dataType)
    if dtype is None:
        raise UnsupportedError(
            "an element type that this runtime does not know",
            place=place,
            got=f"data type {message.dataType}",
        )
    shape = tuple(
        int(d.constant.size) if d.WhichOneof("dimension") == "constant" else None
        for d in message.dimensions
    )
    if message.rank >= 0 and message.rank != len(shape):
        raise ModelFileError(
            "a tensor's rank is not the number of its dimensions",
            place=place,
            got=f"rank {message.rank}, {len(shape)} dimensions",
        )
    result = ValueType("tensor", dtype, shape)
    if (result.size or 0) > _MAX_ELEMENTS or any((d or 0) > _MAX_ELEMENTS for d in shape):
        raise ModelFileError("a tensor's shape is absurd", place=place, got=str(result))
    return result


def _output(message: Any, place: str) -> Output:
    return Output(message.name, read_type(message.type, f"{place}, value '{message.name}'"))


def _block(message: Any, path: str, depth: int) -> Block:
    if depth > _MAX_DEPTH:
        raise ModelFileError("blocks are nested too deeply", place=path)
    operations = tuple(
        _operation(operation, index, path, depth)
        for index, operation in enumerate(message.operations)
    )
    inputs = tuple(_output(given, path) for given in message.inputs)
    return Block(inputs, operations, tuple(message.outputs))


def _operation(message: Any, index: int, path: str, depth: int) -> Operation:
    place = f"operation {index} of {path}, {message.type}"
    inputs = {
        name: tuple(_binding(binding, place) for binding in argument.arguments)
        for name, argument in message.inputs.items()
    }
    attributes = {
        name: read_constant(value, f"{place}, attribute '{name}'")
        for name, value in message.attributes.items()
    }
    blocks = tuple(
        _block(block, f"{path}/{index}.{number}", depth + 1)
        for number, block in enumerate(message.blocks)
    )
    return Operation(
        type=message.type,
        inputs=inputs,
        variadic=frozenset(name for name, given in inputs.items() if len(given) != 1),
        outputs=tuple(_output(made, place) for made in message.outputs),
        blocks=blocks,
        attributes=attributes,
        index=index,
        block=path,
    )


def _binding(message: Any, place: str) -> Binding:
    kind = message.WhichOneof("binding")
    if kind == "name":
        return Reference(message.name)
    if kind == "value":
        return read_constant(message.value, place)
    raise ModelFileError("an argument is empty", place=place)


def read_constant(message: Any, place: str) -> Constant:
    """Read a Value without decoding what it holds."""
    declared = read_type(message.type, place)
    kind = message.WhichOneof("value")
    if kind == "blobFileValue":
        blob = Blob(message.blobFileValue.fileName, message.blobFileValue.offset)
        return Constant(declared, message, blob)
    # coremltools writes an empty list as a type alone
    if kind == "immediateValue" or declared.kind == "list":
        return Constant(declared, message)
    raise ModelFileError("a constant holds no value", place=place)


def _check_names(block: Block, known: set[str], path: str) -> None:
    """Every value must be made before it is used, which also rules out cycles."""
    known = known | {given.name for given in block.inputs}
    for operation in block.operations:
        for bindings in operation.inputs.values():
            for binding in bindings:
                if isinstance(binding, Reference) and binding.name not in known:
                    raise ModelFileError(
                        f"the value '{binding.name}' is used before it is made",
                        place=f"operation {operation.index} of {path}, {operation.type}",
                    )
        for inner in operation.blocks:
            _check_names(inner, known, f"{path}/{operation.index}")
        known.update(made.name for made in operation.outputs)
    for name in block.outputs:
        if name not in known:
            raise ModelFileError(f"the result '{name}' is never made", place=path)
