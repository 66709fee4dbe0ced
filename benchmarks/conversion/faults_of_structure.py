"""Faults of structure: operators dropped, doubled, other ones; operands; overflow; description."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.conversion.faults import Edit, Site, change, constant, finder, made, set_type
from benchmarks.conversion.program import Program, same_type, shape_of

_FP16 = 10


@finder("operator dropped")
def dropped(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """What comes in goes out."""
    for operation, source in _keeping_shape(program):
        name = made(operation)
        users = tuple(made(user) for user in program.consumers(name))
        if not users:
            continue

        def edit(program: Program, name: str = name, source: str = source) -> None:
            program.remove(name)
            program.rewire(name, source)

        what = f"{operation.type} is missing"
        yield Site("operator dropped", what, name, edit, beside=(source, *users))


@finder("operator doubled")
def doubled(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """An operator is applied to its own result."""
    for operation, source in _keeping_shape(program):
        name, twice = made(operation), f"{made(operation)}_twice"
        if not program.consumers(name) or operation.type == "reshape":
            continue

        def edit(
            program: Program, name: str = name, twice: str = twice, source: str = source
        ) -> None:
            first = program.find(name)
            again = copy.deepcopy(first)
            again.outputs[0].name = twice
            for argument in again.inputs.values():
                for binding in argument.arguments:
                    if binding.WhichOneof("binding") == "name" and binding.name == source:
                        binding.name = name
            _insert_behind(program, name, again)
            program.rewire(name, twice, skip=twice)

        yield Site("operator doubled", f"{operation.type} stands twice", name, edit, (twice,))


def _keeping_shape(program: Program) -> Iterator[tuple[Any, str]]:
    """Operators whose result has the type of one of their computed inputs."""
    types = {o.name: o.type for op in program.block.operations for o in op.outputs}
    function = program.spec.mlProgram.functions["main"]
    types |= {given.name: given.type for given in function.inputs}
    for operation in program.operations():
        if operation.type in ("cast", "classify", "while_loop", "cond", "identity", "select"):
            continue
        if len(operation.outputs) != 1:
            continue
        for key in ("x", "y"):
            source = program.computed(operation, key)
            if source in types and same_type(types[source], operation.outputs[0].type):
                yield operation, source
                break


def _insert_behind(program: Program, name: str, made_: Any) -> None:
    names = [o.outputs[0].name if o.outputs else "" for o in program.block.operations]
    place = names.index(name) + 1
    program.insert(program.block.operations[place], made_)


_WRONG = {
    "add": ("sub", "mul"),
    "mul": ("add", "maximum"),
    "sub": ("add",),
    "real_div": ("mul",),
    "reduce_mean": ("reduce_max", "reduce_sum"),
    "max_pool": ("avg_pool",),
    "avg_pool": ("max_pool",),
    "sqrt": ("abs",),
}


@finder("wrong operator")
def wrong(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """One of the same shape."""
    for operation in program.operations(*_WRONG):
        keep = ("x", "y", "axes", "keep_dims", "kernel_sizes", "strides", "pad_type", "pad",
                "ceil_mode")  # fmt: skip
        if operation.type in ("add", "mul") and made(operation).startswith("image__"):
            continue  # of its own class
        for other in _WRONG[operation.type]:
            edit = set_type(made(operation), other, keep)
            yield Site("wrong operator", f"{operation.type} -> {other}", made(operation), edit)


@finder("operands and broadcast")
def operands(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """The order of operands, a vector along another axis, one number for all."""
    for operation in program.operations("sub", "real_div"):
        what = f"{operation.type}: x and y exchanged"
        yield Site("operands and broadcast", what, made(operation), _exchange(made(operation)))
    for operation in program.operations("add", "mul", "sub"):
        if made(operation).startswith("image__"):
            continue
        for key in ("x", "y"):
            array = constant(program, operation, key)
            if array is None or array.dtype.kind != "f":
                continue
            for how, to in _ways(array):
                edit = change(made(operation), key, to)
                what = f"{operation.type}: {key} {how}"
                yield Site("operands and broadcast", what, made(operation), edit)
    for operation in program.operations("matmul"):
        for key in ("transpose_x", "transpose_y"):
            source = operation.inputs["x" if key[-1] == "x" else "y"].arguments[0].name
            shape = _shape(program, source)
            if constant(program, operation, key) is not None and shape[-1] == shape[-2]:
                edit = change(made(operation), key, np.logical_not)
                what = f"matmul: {key} the other way"
                yield Site("operands and broadcast", what, made(operation), edit)
    for operation in program.operations("slice_by_index"):
        begin, end = constant(program, operation, "begin"), constant(program, operation, "end")
        place = int(np.argmax(end - begin == 1)) if begin is not None else 0
        if begin is not None and begin[place] > 0 and end[place] - begin[place] == 1:
            edit = _earlier(made(operation), place)
            yield Site("operands and broadcast", "slice: one too early", made(operation), edit)


def _ways(array: np.ndarray) -> Iterator[tuple[str, Any]]:
    if array.size == 1:
        yield "squared", np.square
        yield "one half", lambda a: a / 2
        return
    yield "of the first element", lambda a: np.full_like(a, a.reshape(-1)[0])
    yield "rolled by one", lambda a: np.roll(a.reshape(-1), 1).reshape(a.shape)
    square = [n for n in array.shape if n > 1]
    if len(square) == 2 and square[0] == square[1]:
        yield "transposed", lambda a: np.swapaxes(a, -1, -2)


def _shape(program: Program, name: str) -> tuple[int, ...]:
    for output in program.find(name).outputs:
        if output.name == name:
            return shape_of(output.type)
    raise KeyError(name)


def _exchange(name: str) -> Edit:
    def edit(program: Program) -> None:
        inputs = program.find(name).inputs
        first, second = copy.deepcopy(inputs["x"]), copy.deepcopy(inputs["y"])
        inputs["x"].CopyFrom(second)
        inputs["y"].CopyFrom(first)

    return edit


def _earlier(name: str, place: int) -> Edit:
    def edit(program: Program) -> None:
        operation = program.find(name)
        for key in ("begin", "end"):
            value = program.own(operation, key)
            array = program.get(value).copy()
            array[place] -= 1
            program.put(value, array)

    return edit


@finder("float16 overflow")
def overflow(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """A product that is taken before the division: beyond 65504 between them."""
    for operation in program.operations("conv", "linear", "matmul", "reduce_mean", "layer_norm"):
        kind = operation.outputs[0].type
        if kind.tensorType.dataType != _FP16 or not program.consumers(made(operation)):
            continue
        name = made(operation)

        def edit(program: Program, name: str = name) -> None:
            high, low = f"{name}_high", f"{name}_low"
            source = program.find(name)
            for made_, type_, x in ((low, "real_div", high), (high, "mul", name)):
                new = type(source)()
                new.type = type_
                new.inputs["x"].arguments.add().name = x
                value = new.inputs["y"].arguments.add().value
                value.type.tensorType.dataType = _FP16
                value.immediateValue.tensor.bytes.values = np.float16(60000).tobytes()
                new.outputs.add().CopyFrom(source.outputs[0])
                new.outputs[0].name = made_
                _insert_behind(program, name, new)
            for user in program.operations():
                if made(user) in (high, low):
                    continue
                for argument in user.inputs.values():
                    for binding in argument.arguments:
                        if binding.WhichOneof("binding") == "name" and binding.name == name:
                            binding.name = low

        also = (f"{name}_high", f"{name}_low")
        yield Site("float16 overflow", f"{operation.type} times 60000", name, edit, also)


@finder("labels")
def labels(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Class labels in another order."""
    for operation in program.operations("classify"):
        ways = {
            "rotated by one": lambda names: [*names[1:], names[0]],
            "backwards": lambda names: names[::-1],
            "the first two exchanged": lambda names: [names[1], names[0], *names[2:]],
            "the last two exchanged": lambda names: [*names[:-2], names[-1], names[-2]],
            "in the order of their length": lambda names: sorted(names, key=len),
        }
        also = tuple(o.name for o in operation.outputs)
        for how, to in ways.items():
            yield Site("labels", f"labels {how}", made(operation), _relabel(to), also)


def _relabel(to: Any) -> Edit:
    def edit(program: Program) -> None:
        (operation,) = program.operations("classify")
        held = program.own(operation, "classes").immediateValue.list.values
        names = [v.immediateValue.tensor.strings.values[0] for v in held]
        for value, name in zip(held, to(names), strict=True):
            value.immediateValue.tensor.strings.values[0] = name

    return edit


@finder("image scale and bias")
def image_scale(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """Pixels from 0 to 255 where 0 to 1 was meant, signs, means of other channels."""
    ways = {
        "mul": {
            "1/255": lambda a: np.full_like(a, 1 / 255),
            "1/127.5": lambda a: np.full_like(a, 1 / 127.5),
            "1 % more": lambda a: a * 1.01,
            "twice": lambda a: a * 2,
        },
        "add": {
            "of the other sign": np.negative,
            "lost": np.zeros_like,
            "of one number for all": lambda a: np.full_like(a, a.mean()),
            "of channels in the other order": lambda a: a[:, ::-1],
            "in pixels of 0 to 1": lambda a: a / 255,
        },
    }
    for operation in program.operations("mul", "add"):
        if made(operation).startswith("image__"):
            what = {"mul": "scale", "add": "bias"}[operation.type]
            for how, to in ways[operation.type].items():
                edit = change(made(operation), "y", to)
                text = f"image's {what} {how}"
                yield Site("image scale and bias", text, made(operation), edit)


@finder("channel order")
def channels(program: Program, rng: np.random.Generator) -> Iterator[Site]:
    """BGR for RGB: in the description, or in the first weights."""
    for feature in program.spec.description.input:
        if feature.type.WhichOneof("Type") == "imageType":
            yield Site("channel order", "the image is BGR", feature.name, _bgr)
            first = next(iter(program.operations("conv")), None)
            array = constant(program, first, "weight") if first is not None else None
            if array is not None:
                edit = change(made(first), "weight", lambda a: a[:, ::-1])
                what = "conv: weights of channels in the other order"
                yield Site("channel order", what, made(first), edit)


def _bgr(program: Program) -> None:
    for feature in program.spec.description.input:
        if feature.type.WhichOneof("Type") == "imageType":
            feature.type.imageType.colorSpace = 30
