"""What one prediction of an ML Program costs: multiply-adds, and memory of values at its peak.

Both follow from the declared shapes; where one is known only when the model runs, the operation
counts for nothing and is named. A multiply-add is one product with its sum; element by element
operators count none, as is usual.

Source: coremltools MIL op docs, the shapes of conv, conv_transpose, linear, matmul, einsum,
scaled_dot_product_attention, lstm, gru, rnn.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

from .mil.dtypes import ValueType
from .mil.program import Constant, Function, Operation, Reference

Shape = tuple[int, ...]
_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def cost(function: Function) -> dict[str, Any]:
    """Multiply-adds and memory.

    Returns:
        multiply_adds (their sum), multiply_adds_by_layer (by the first output's name, only those
        that have any), uncounted (first outputs of operators whose shapes are not known),
        peak_bytes (the most that values which are still needed take at once, constants not
        counted) and peak_at (the operation's first output).
    """
    types = _types(function)
    counted: dict[str, int] = {}
    uncounted: list[str] = []
    for operation in function.body.walk():
        count = _COUNTS.get(operation.type)
        if count is None or not operation.outputs:
            continue
        name = operation.outputs[0].name
        try:
            counted[name] = count(operation, types)
        except _UnknownShapeError:
            uncounted.append(name)
    peak, place = _peak(function, types)
    return {
        "multiply_adds": sum(counted.values()),
        "multiply_adds_by_layer": counted,
        "uncounted": uncounted,
        "peak_bytes": peak,
        "peak_at": place,
    }


class _UnknownShapeError(Exception):
    """A dimension is known only when the model runs."""


def _types(function: Function) -> dict[str, ValueType]:
    found = {given.name: given.type for given in function.inputs}
    for operation in function.body.walk():
        found |= {made.name: made.type for made in operation.outputs}
        for block in operation.blocks:
            found |= {given.name: given.type for given in block.inputs}
    return found


def _shape(operation: Operation, name: str, types: dict[str, ValueType]) -> Shape:
    bindings = operation.inputs.get(name)
    if not bindings:
        raise _UnknownShapeError
    binding = bindings[0]
    declared = binding.type if isinstance(binding, Constant) else types[binding.name]
    return _known(declared)


def _known(declared: ValueType) -> Shape:
    shape = tuple(d for d in declared.shape if d is not None)
    if len(shape) != len(declared.shape):
        raise _UnknownShapeError
    return shape


def _conv(operation: Operation, types: dict[str, ValueType]) -> int:
    weight = _shape(operation, "weight", types)  # [C_out, C_in / groups, *K]
    return prod(_known(operation.outputs[0].type)) * prod(weight[1:])


def _conv_transpose(operation: Operation, types: dict[str, ValueType]) -> int:
    weight = _shape(operation, "weight", types)  # [C_in, C_out / groups, *K]
    return prod(_shape(operation, "x", types)) * prod(weight[1:])


def _linear(operation: Operation, types: dict[str, ValueType]) -> int:
    return prod(_known(operation.outputs[0].type)) * _shape(operation, "weight", types)[-1]


def _matmul(operation: Operation, types: dict[str, ValueType]) -> int:
    x, out = _shape(operation, "x", types), _known(operation.outputs[0].type)
    rows = out[-2] if len(out) > 1 else 1
    shared = prod(x[-2:]) // max(rows, 1)  # whichever way x is turned, its other side is shared
    return int(prod(out) * shared)


def _attention(operation: Operation, types: dict[str, ValueType]) -> int:
    query, value = _shape(operation, "query", types), _shape(operation, "value", types)
    # Scores: one product of length E for each of L x S; then S products for each of L x E_v.
    return prod(query[:-1]) * value[-2] * (query[-1] + value[-1])


def _einsum(operation: Operation, types: dict[str, ValueType]) -> int:
    given = operation.inputs.get("values", ())
    shapes = [_known(types[b.name]) for b in given if isinstance(b, Reference) and b.name in types]
    if len(shapes) != 2:
        raise _UnknownShapeError
    out = prod(_known(operation.outputs[0].type))
    # Both operands and the result together hold each index twice, if none is only in one.
    return round(sqrt(prod(shapes[0]) * prod(shapes[1]) * out))


def _recurrent(operation: Operation, types: dict[str, ValueType]) -> int:
    steps, batch, wide = _shape(operation, "x", types)
    gates = _GATES[operation.type]
    hidden = _shape(operation, "weight_hh", types)[-1]
    directions = 2 if "weight_hh_back" in operation.inputs else 1
    return steps * batch * directions * gates * hidden * (wide + hidden)


_COUNTS: dict[str, Callable[[Operation, dict[str, ValueType]], int]] = {
    "conv": _conv,
    "conv_quantized": _conv,
    "conv_transpose": _conv_transpose,
    "linear": _linear,
    "matmul": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn": _recurrent,
}


def _peak(function: Function, types: dict[str, ValueType]) -> tuple[int, str]:
    """The most bytes of values that are alive at once, and while which operation runs."""
    operations = [
        operation
        for operation in function.body.operations
        if operation.type != "const" and not operation.type.startswith("constexpr_")
    ]
    last = {name: len(operations) for name in function.body.outputs}
    for number, operation in enumerate(operations):
        for name in _read(operation):
            last[name] = max(last.get(name, 0), number)
    alive = {given.name: _bytes(given.type) for given in function.inputs}
    peak, place = sum(alive.values()), ""
    for number, operation in enumerate(operations):
        alive |= {made.name: _bytes(made.type) for made in operation.outputs}
        total = sum(alive.values())
        if total > peak:
            peak, place = total, operation.outputs[0].name if operation.outputs else ""
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > number}
    return peak, place


def _read(operation: Operation) -> set[str]:
    found = {b.name for bs in operation.inputs.values() for b in bs if isinstance(b, Reference)}
    for block in operation.blocks:
        found |= set(block.outputs)
        for inner in block.operations:
            found |= _read(inner)
    return found


def _bytes(declared: ValueType) -> int:
    if declared.dtype is None or declared.size is None:
        return 0
    return -(-declared.size * declared.dtype.bits // 8)
