"""Faults of weights: swapped, transposed, exchanged, lost, of another gate; tables cut off."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.conversion.faults import Edit, Site, change, constant, finder, made
from benchmarks.conversion.program import Program

_WEIGHTS = {
    "conv": ("weight",),
    "conv_transpose": ("weight",),
    "linear": ("weight",),
    "lstm": ("weight_ih", "weight_hh", "weight_ih_back", "weight_hh_back"),
    "gru": ("weight_ih", "weight_hh"),
    "gather": ("x",),
    "layer_norm": ("gamma",),
    "instance_norm": ("gamma",),
    "batch_norm": ("gamma", "mean", "variance"),
    "prelu": ("alpha",),
}
_BIASES = {"layer_norm": "beta", "instance_norm": "beta", "batch_norm": "beta"}


def _weights(program: Program) -> Iterator[tuple[Any, str, np.ndarray]]:
    for operation in program.operations(*_WEIGHTS):
        for key in _WEIGHTS[operation.type]:
            array = constant(program, operation, key)
            if array is not None and array.dtype.kind == "f":
                yield operation, key, array


@finder("weights swapped")
def swapped(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Two output channels (rows, gates' rows) in each other's place."""
    for operation, key, array in _weights(program):
        if len(array) < 2:
            continue
        one, other = (int(n) for n in rng.choice(len(array), 2, replace=False))

        def swap(array: np.ndarray, one: int = one, other: int = other) -> np.ndarray:
            array = array.copy()
            array[[one, other]] = array[[other, one]]
            return array

        what = f"{operation.type}: rows {one} and {other} of {key} swapped"
        yield Site("weights swapped", what, made(operation), change(made(operation), key, swap))


@finder("weights transposed")
def transposed(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """The bytes of another layout under the same shape: kernels, or rows and columns."""
    for operation, key, array in _weights(program):
        if array.ndim < 2:
            continue
        if array.ndim == 4 and array.shape[2] == array.shape[3] > 1:
            how, axes = "kernel", (0, 1, 3, 2)
        else:
            how, axes = "layout", tuple(reversed(range(array.ndim)))

        def turn(array: np.ndarray, axes: tuple[int, ...] = axes) -> np.ndarray:
            return np.ascontiguousarray(array.transpose(axes)).reshape(array.shape)

        what = f"{operation.type}: {key} transposed ({how})"
        yield Site("weights transposed", what, made(operation), change(made(operation), key, turn))


@finder("weights exchanged")
def exchanged(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """One weight where another of the same shape belongs: of another layer, or of this one."""
    for (one, key, array), (other, key2, array2) in combinations(_weights(program), 2):
        if array.shape != array2.shape or one.type != other.type:
            continue

        def put(array: np.ndarray, instead: np.ndarray = array2) -> np.ndarray:
            return instead

        what = f"{one.type}: {key2} of {made(other)} in place of {key}"
        yield Site("weights exchanged", what, made(one), change(made(one), key, put))


@finder("bias")
def bias(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """A bias lost, or in another order."""
    for operation in program.operations("conv", "conv_transpose", "linear", "lstm", *_BIASES):
        key = _BIASES.get(operation.type, "bias")
        array = constant(program, operation, key)
        if array is None or array.dtype.kind != "f":
            continue
        ways = {"lost": np.zeros_like, "rolled by one": lambda a: np.roll(a, 1)}
        for how, edit in ways.items():
            what = f"{operation.type}: {key} {how}"
            yield Site("bias", what, made(operation), change(made(operation), key, edit))


@finder("gates")
def gates(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Recurrent weights in another framework's order of gates; directions exchanged."""
    for operation in program.operations("lstm", "gru"):
        count, name = {"lstm": 4, "gru": 3}[operation.type], made(operation)
        for key in _WEIGHTS[operation.type]:
            if constant(program, operation, key) is None:
                continue
            for one, other in combinations(range(count), 2):

                def order(
                    array: np.ndarray, one: int = one, other: int = other, count: int = count
                ) -> np.ndarray:
                    parts = np.split(array, count)
                    parts[one], parts[other] = parts[other], parts[one]
                    return np.concatenate(parts)

                what = f"{operation.type}: gates {one} and {other} of {key} exchanged"
                yield Site("gates", what, name, change(name, key, order))
        for key, back in (("weight_ih", "weight_ih_back"), ("weight_hh", "weight_hh_back")):
            if constant(program, operation, back) is not None:
                what = f"{operation.type}: directions of {key} exchanged"
                yield Site("gates", what, name, _exchange(name, key, back))


def _exchange(name: str, one: str, other: str) -> Edit:
    def edit(program: Program) -> None:
        operation = program.find(name)
        first, second = program.own(operation, one), program.own(operation, other)
        arrays = program.get(first), program.get(second)
        program.put(first, arrays[1])
        program.put(second, arrays[0])

    return edit


@finder("table cut off")
def tables(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Look-up tables and embeddings whose end is missing, and tables in another order."""
    for operation in program.operations("gather"):
        array = constant(program, operation, "x")
        if array is not None and array.dtype.kind == "f" and array.ndim == 2:
            name = made(operation)
            what = "gather: the second half of the table is zero"
            yield Site("table cut off", what, name, change(name, "x", _cut))
            what = "gather: the table begins one row late"
            yield Site("table cut off", what, name, change(name, "x", lambda a: np.roll(a, 1, 0)))
    for operation in _compressed(program, "constexpr_lut_to_dense"):
        for how, edit in {"cut in half": _cut, "backwards": lambda a: a[::-1]}.items():
            yield _in_compressed("table cut off", program, operation, "lut", how, edit)


@finder("scale of weights")
def scales(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Scales, offsets and elements of compressed weights."""
    kind = "scale of weights"
    for operation in _compressed(program, "constexpr_affine_dequantize"):
        yield _in_compressed(kind, program, operation, "scale", "rolled by one", _rolled)
        yield _in_compressed(kind, program, operation, "scale", "of the first channel", _first)
        yield _in_compressed(kind, program, operation, "zero_point", "off by 4", lambda a: a + 4)
    for operation in _compressed(program, "constexpr_blockwise_shift_scale"):
        yield _in_compressed(kind, program, operation, "scale", "rolled by one", _rolled)
        yield _in_compressed(kind, program, operation, "scale", "of the first block", _first)
    for operation in _compressed(program, "constexpr_sparse_to_dense"):
        yield _in_compressed(kind, program, operation, "nonzero_data", "rolled by one", _rolled)


def _compressed(program: Program, type_: str) -> list[Any]:
    return [o for o in program.block.operations if o.type == type_]


def _in_compressed(
    kind: str, program: Program, operation: Any, key: str, how: str, to: Any
) -> Site:
    name = made(operation)
    users = tuple(made(user) for user in program.consumers(name))
    what = f"{operation.type}: {key} {how}"
    return Site(kind, what, users[0], change(name, key, to), (name, *users))


def _cut(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array[len(array) // 2 :] = 0
    return array


def _rolled(array: np.ndarray) -> np.ndarray:
    return np.roll(array.reshape(-1), 1).reshape(array.shape)


def _first(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, array.reshape(-1)[0])
