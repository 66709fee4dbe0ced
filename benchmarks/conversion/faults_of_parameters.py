"""Faults of an operator's parameters: epsilon, axis, padding, stride, sampling, activation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.conversion.faults import Edit, Site, change, constant, finder, made, set_type
from benchmarks.conversion.program import Program, shape_of

_NORMS = ("layer_norm", "instance_norm", "batch_norm")


@finder("epsilon")
def epsilon(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Another framework's default; in norms and in what norms are decomposed into."""
    for operation in program.operations(*_NORMS):
        now = constant(program, operation, "epsilon")
        if now is None:
            continue
        for other in (1e-3, 1e-2, 1e-1):
            what = f"{operation.type}: epsilon {float(now):.1g} -> {other:g}"
            edit = change(made(operation), "epsilon", lambda a, v=other: np.full_like(a, v))
            yield Site("epsilon", what, made(operation), edit)
    for root in program.operations("sqrt", "rsqrt"):
        name = program.computed(root, "x")
        operation = program.find(name) if name else None
        if operation is not None and operation.type == "add":
            for other in (1e-3, 1e-2, 1e-1):
                edit = change(made(operation), "y", lambda a, v=other: np.full_like(a, v))
                what = f"add before {root.type}: epsilon -> {other:g}"
                yield Site("epsilon", what, made(operation), edit)


@finder("axis")
def axis(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """A softmax, a mean, a transposition, a normalization over other axes than meant."""
    for operation in program.operations("softmax"):
        shape = shape_of(operation.outputs[0].type)
        now = int(constant(program, operation, "axis")) % len(shape)
        for other in range(len(shape)):
            if other != now and shape[other] > 1:
                what = f"softmax: axis {now} -> {other}"
                edit = change(made(operation), "axis", lambda a, v=other: np.full_like(a, v))
                yield Site("axis", what, made(operation), edit)
    for operation in program.operations("transpose"):
        yield from _perms(program, operation)
    for operation in program.operations("pixel_shuffle", "concat", "split"):
        if operation.type == "split":
            yield Site(
                "axis",
                "split: parts in another order",
                made(operation),
                _exchange_outputs(made(operation)),
                tuple(o.name for o in operation.outputs),
            )
        if operation.type == "concat":
            yield Site(
                "axis",
                "concat: parts in another order",
                made(operation),
                _exchange_parts(made(operation)),
            )


def _perms(program: Program, operation: object) -> Iterator[Site]:
    perm = constant(program, operation, "perm")
    shape = shape_of(operation.outputs[0].type)
    for one in range(len(shape)):
        for other in range(one + 1, len(shape)):
            if shape[one] == shape[other] > 1:

                def swap(array: np.ndarray, one: int = one, other: int = other) -> np.ndarray:
                    array = array.copy()
                    array[[one, other]] = array[[other, one]]
                    return array

                what = f"transpose: axes {perm[one]} and {perm[other]} exchanged"
                yield Site("axis", what, made(operation), change(made(operation), "perm", swap))


def _exchange_outputs(name: str) -> Edit:
    def edit(program: Program) -> None:
        outputs = program.find(name).outputs
        outputs[0].name, outputs[1].name = outputs[1].name, outputs[0].name

    return edit


def _exchange_parts(name: str) -> Edit:
    def edit(program: Program) -> None:
        arguments = program.find(name).inputs["values"].arguments
        first, second = arguments[0].name, arguments[1].name
        arguments[0].name, arguments[1].name = second, first

    return edit


@finder("padding")
def padding(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Before instead of behind, of another mode, or counted where it must not be."""
    for operation in program.operations("conv", "max_pool", "avg_pool"):
        pad = constant(program, operation, "pad")
        if pad is None or not pad.any():
            continue
        for how, shift in {"behind": (-1, 1), "before": (1, -1)}.items():
            moved = pad.copy()
            moved[0::2] += shift[0]
            moved[1::2] += shift[1]
            what = f"{operation.type}: padding {pad.tolist()} -> {moved.tolist()} ({how})"
            edit = change(made(operation), "pad", lambda a, v=moved: v)
            yield Site("padding", what, made(operation), edit)
    for operation in program.operations("pad"):
        now = str(constant(program, operation, "mode"))
        for mode in {"reflect", "replicate", "constant"} - {now}:
            edit = change(made(operation), "mode", lambda a, v=mode: np.array(v, dtype=object))
            yield Site("padding", f"pad: mode {now} -> {mode}", made(operation), edit)


@finder("stride and sampling")
def sampling(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Windows that lie elsewhere: ceil mode, dilation, corners, the count under a window."""
    flags = {
        "max_pool": ("ceil_mode",),
        "avg_pool": ("ceil_mode", "exclude_padding_from_average"),
        "upsample_bilinear": ("align_corners", "half_pixel_centers"),
    }
    for operation in program.operations(*flags):
        for key in flags[operation.type]:
            now = constant(program, operation, key)
            if now is not None:
                what = f"{operation.type}: {key} {bool(now)} -> {not bool(now)}"
                edit = change(made(operation), key, np.logical_not)
                yield Site("stride and sampling", what, made(operation), edit)
    for operation in program.operations("conv"):
        dilations = constant(program, operation, "dilations")
        kernel = constant(program, operation, "weight")
        if kernel is None or dilations is None or kernel.shape[-1] == 1:
            continue
        wide, pad = dilations.max() > 1, constant(program, operation, "pad")
        if pad is not None and (wide or pad.min() >= 1) and program.argument(operation, "pad"):
            what = f"conv: dilation {dilations.tolist()} -> {'1' if wide else '2'}"
            yield Site("stride and sampling", what, made(operation), _dilate(made(operation), wide))


def _dilate(name: str, narrower: bool) -> Edit:
    """Another dilation, with the padding that keeps the size."""

    def edit(program: Program) -> None:
        operation = program.find(name)
        for key in ("dilations", "pad"):
            value = program.own(operation, key)
            array = program.get(value)
            program.put(value, array // 2 if narrower else array * 2)

    return edit


_OTHERS = {
    "relu": ("silu", "softplus", "abs", "gelu"),
    "relu6": ("relu", "silu"),
    "silu": ("relu", "sigmoid", "gelu"),
    "sigmoid": ("tanh", "silu"),
    "tanh": ("softsign", "sigmoid", "relu"),
    "softplus": ("relu", "silu"),
    "elu": ("relu", "softplus"),
    "gelu": ("relu", "silu"),
    "leaky_relu": ("relu",),
    "prelu": ("relu",),
    "softmax": ("sigmoid",),
    "log": ("abs",),
    "square": ("abs",),
}
_SLOPES = {
    "leaky_relu": ("alpha", 0.3),
    "elu": ("alpha", 0.5),
    "sigmoid_hard": ("alpha", 0.2),
    "thresholded_relu": ("alpha", 0.0),
    "prelu": ("alpha", 0.01),
}


@finder("activation")
def activation(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Another function, another slope, an approximation where the exact one was meant."""
    for operation in program.operations(*_OTHERS):
        for other in _OTHERS[operation.type]:
            what = f"{operation.type} -> {other}"
            yield Site("activation", what, made(operation), set_type(made(operation), other))
    for operation in program.operations(*_SLOPES):
        key, value = _SLOPES[operation.type]
        if constant(program, operation, key) is not None:
            edit = change(made(operation), key, lambda a, v=value: np.full_like(a, v))
            what = f"{operation.type}: {key} -> {value:g}"
            yield Site("activation", what, made(operation), edit)
    for operation in program.operations("gelu"):
        for mode in ("TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"):
            edit = change(made(operation), "mode", lambda a, v=mode: np.array(v, dtype=object))
            yield Site("activation", f"gelu: mode {mode}", made(operation), edit)
