"""A TensorFlow network of any form as one thing: inputs, outputs, a call, a frozen graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..description.description import Description, inside
from ..problem.problem import Problem
from .files import describe, load_model
from .graph import inputs_of, outputs_of, parsed

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Slot:
    """One input. A size of None is free."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True)
class Frozen:
    """A graph with its weights as constants."""

    graph_def: Any
    inputs: tuple[str, ...]  # names of tensors
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Net:
    """``call`` takes and gives arrays by name; ``freeze`` takes a shape for each input."""

    form: str  # "Keras", "SavedModel", "FrozenGraph"
    slots: tuple[Slot, ...]
    outputs: tuple[str, ...]
    call: Callable[[Arrays], dict[str, np.ndarray]]
    freeze: Callable[[Sequence[Sequence[int]]], Frozen]
    description: Description = field(default_factory=dict)
    keras: Any = None
    owner: Any = None  # of the weights: a signature alone does not keep them

    def slot(self, name: str) -> Slot | None:
        """The input of a name."""
        return next((s for s in self.slots if s.name == name), None)


def open_net(
    tf: Any,
    path: Path,
    trusted: bool,
    signature: str | None = None,
    tensors: Sequence[str] = (),
    inputs: Sequence[str] = (),
) -> Net:
    """The network at a path, whatever its form.

    Args:
        tf: TensorFlow.
        path: a Keras file, the folder of a SavedModel, or a frozen graph.
        trusted: whether code in it may be run.
        signature: of a SavedModel.
        tensors: of a frozen graph, those to return.
        inputs: of a frozen graph, those that are given.

    Raises:
        Problem: it cannot be read.
    """
    if path.is_dir():
        return _saved(tf, path, signature)
    if signature is not None:
        raise Problem(f"signature: {signature}, but {path.name} is no SavedModel")
    with path.open("rb") as file:
        start = file.read(8)
    if start[:4] in (b"PK\x03\x04", b"\x89HDF") or path.suffix in (".h5", ".keras"):
        return of_keras(tf, load_model(tf, path, trusted), describe(path))
    return _frozen(tf, path, inputs, tensors)


def of_keras(tf: Any, model: Any, description: Description | None = None) -> Net:
    """A Keras model in memory, of tf-keras or Keras 3."""
    if not getattr(model, "inputs", None):
        raise Problem(
            "the Keras model has no inputs of known shape",
            hint="start it with an Input layer, or call it once before it is saved",
        )
    names = [_plain(n) for n in getattr(model, "input_names", None) or _names(model.inputs)]
    slots = tuple(
        Slot(name, tuple(None if n is None else int(n) for n in given.shape), _dtype(given))
        for name, given in zip(names, model.inputs, strict=True)
    )
    told = getattr(model, "output_names", None) or _names(model.outputs)
    outputs = tuple(_plain(n) for n in told)
    fixed = [tf.TensorSpec(s.shape, s.dtype, name=f"input_{i}") for i, s in enumerate(slots)]

    def function(*given: Any) -> list[Any]:
        structured = tf.nest.pack_sequence_as(model.input, list(given))
        return list(tf.nest.flatten(model(structured, training=False)))

    traced = tf.function(function)

    def call(arrays: Arrays) -> dict[str, np.ndarray]:
        found = traced(*(tf.constant(arrays[s.name], s.dtype) for s in slots))
        return dict(zip(outputs, (v.numpy() for v in found), strict=True))

    def freeze(shapes: Sequence[Sequence[int]]) -> Frozen:
        wanted = [
            tf.TensorSpec(shape, spec.dtype, name=spec.name)
            for shape, spec in zip(shapes, fixed, strict=True)
        ]
        return _constant(tf.function(function).get_concrete_function(*wanted))

    return Net("Keras", slots, outputs, call, freeze, description or {}, model)


def unrolled(tf: Any, net: Net) -> Net | None:
    """The same network with its loops written out; None where it has none that can be."""
    loops = [layer for layer in _layers(net.keras) if getattr(layer, "unroll", None) is False]
    for layer in loops:
        layer.unroll = True
        for kernel in ("_could_use_gpu_kernel", "use_cudnn"):  # of a graphics processor: loops
            if hasattr(layer, kernel):
                setattr(layer, kernel, False)
    return of_keras(tf, net.keras, net.description) if loops else None


def _layers(model: Any) -> list[Any]:
    parts = list(getattr(model, "layers", ()) or ())
    for name in ("layer", "forward_layer", "backward_layer"):
        parts += [getattr(model, name)] if hasattr(getattr(model, name, None), "weights") else []
    return [layer for part in parts for layer in (part, *_layers(part))]


def _saved(tf: Any, path: Path, signature: str | None) -> Net:
    if not (path / "saved_model.pb").is_file():
        raise Problem(f"{path.name} is no SavedModel: it has no saved_model.pb")
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow has a class for each of its status codes
        raise Problem(f"{path.name} cannot be read: {str(error).splitlines()[0]}") from error
    known = sorted(loaded.signatures)
    chosen = signature or ("serving_default" if len(known) != 1 else known[0])
    if chosen not in known:
        raise Problem(
            f"{path.name} has no signature '{chosen}'",
            hint=f"it has {', '.join(known)}" if known else "save it with signatures",
        )
    function = loaded.signatures[chosen]
    given = function.structured_input_signature[1]
    slots = tuple(
        Slot(name, tuple(spec.shape.as_list() if spec.shape.rank is not None else ()),
             spec.dtype.name)
        for name, spec in sorted(given.items())
    )  # fmt: skip
    outputs = tuple(sorted(function.structured_outputs))

    def call(arrays: Arrays) -> dict[str, np.ndarray]:
        found = function(**{s.name: tf.constant(arrays[s.name], s.dtype) for s in slots})
        return {name: found[name].numpy() for name in outputs}

    def freeze(shapes: Sequence[Sequence[int]]) -> Frozen:
        wanted = {
            s.name: tf.TensorSpec(shape, s.dtype, name=f"input_{i}")
            for i, (s, shape) in enumerate(zip(slots, shapes, strict=True))
        }
        plain = tf.function(lambda **named: [function(**named)[name] for name in outputs])
        return _constant(plain.get_concrete_function(**wanted))

    described = inside(path / "assets.extra")
    return Net("SavedModel", slots, outputs, call, freeze, described, owner=loaded)


def _frozen(tf: Any, path: Path, inputs: Sequence[str], tensors: Sequence[str]) -> Net:
    graph_def = parsed(tf, path)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    taken, given = inputs_of(graph, inputs), outputs_of(graph, tensors)
    slots = tuple(
        Slot(_plain(t.op.name), tuple(t.shape.as_list() if t.shape.rank is not None else ()),
             t.dtype.base_dtype.name)
        for t in taken
    )  # fmt: skip
    outputs = tuple(_plain(t.op.name) for t in given)

    def imported() -> None:
        tf.import_graph_def(graph_def, name="")

    wrapped = tf.compat.v1.wrap_function(imported, [])
    function = wrapped.prune([t.name for t in taken], [t.name for t in given])

    def call(arrays: Arrays) -> dict[str, np.ndarray]:
        found = function(*(tf.constant(arrays[s.name], s.dtype) for s in slots))
        return dict(zip(outputs, (v.numpy() for v in found), strict=True))

    def freeze(_: Sequence[Sequence[int]]) -> Frozen:
        names = tuple(t.name for t in taken), tuple(t.name for t in given)
        return Frozen(graph_def, *names)

    return Net("FrozenGraph", slots, outputs, call, freeze)


def _constant(concrete: Any) -> Frozen:
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,  # public API has no other way to a frozen graph
    )

    frozen = convert_variables_to_constants_v2(
        concrete, lower_control_flow=False, aggressive_inlining=True
    )
    # What a signature calls its inputs is not their order in the graph.
    inputs = sorted((t.name for t in frozen.inputs), key=_place)
    return Frozen(frozen.graph.as_graph_def(), tuple(inputs), tuple(t.name for t in frozen.outputs))


def _place(name: str) -> tuple[int, str]:
    number = name.partition(":")[0].rpartition("_")[2]
    return (int(number) if number.isdigit() else 0, name)


def _names(tensors: Sequence[Any]) -> list[str]:
    return [str(t.name).partition(":")[0] for t in tensors]


def _dtype(tensor: Any) -> str:
    dtype = tensor.dtype
    return str(getattr(dtype, "name", dtype))


def _plain(name: str) -> str:
    """A name that other formats take: letters, digits, '_', no digit in front."""
    kept = "".join(c if c.isalnum() and c.isascii() else "_" for c in str(name))
    return kept if kept and not kept[0].isdigit() else f"_{kept}"
