"""A Keras model as reference: the output of every layer, those of nested models included.

Keras keeps colours and features last, Core ML first: each value of three and more dimensions is
recorded in both orders.

Source: Keras API reference, Model, Functional; nodes of a functional graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch

from ..errors import InputError, UnsupportedError
from .preparing import fed
from .recording import Recorded, Recording, Sample, real

Feeds = Callable[[Sample], Mapping[str, Any]]


class KerasReference:
    """Records what a Keras model computes, of Keras 2 (tf-keras) or 3.

    Args:
        model: A Sequential or functional model.
        prepare: From a sample (by the candidate's input names) to arrays by the model's input
            names; by default inputs of the same names, else in their order, pictures as floats
            from 0 to 255.
        labels: A classifier's labels in the order of its outputs.
    """

    def __init__(
        self, model: Any, prepare: Feeds | None = None, labels: Iterable[str] = ()
    ) -> None:
        if not _has_graph(model):
            raise UnsupportedError(
                "a Keras model that shows no layers' outputs",
                got=type(model).__name__,
                allowed=("Sequential", "Functional"),
                hint="export it to ONNX (tf2onnx) and compare with that",
            )
        self._model, self._prepare = model, prepare or self._fed
        self._labels = tuple(str(label) for label in labels)
        self._shown: dict[int, tuple[Any, list[Any]]] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """As given."""
        return self._labels

    def record(self, sample: Sample) -> Recording:
        """One forward pass, not in training."""
        feeds = self._prepare(sample)
        found: list[Recorded] = []
        inputs = []
        for given in self._model.inputs:
            value = np.asarray(feeds[_name(given)])
            inputs.append((value, _note(found, _name(given), "input", "", value, ())))
        try:
            outputs = self._layers(self._model, inputs, "", found)
        except (ValueError, RuntimeError) as error:
            text = str(error).split("\n")[0]
            raise InputError("the Keras model does not run on a sample", got=text) from error
        names = list(getattr(self._model, "output_names", ()))
        names = names if len(names) == len(outputs) else [""] * len(outputs)
        return Recording(tuple(found), tuple(zip(names, outputs, strict=True)))

    def weights(self) -> dict[str, torch.Tensor]:
        """All of them, by their paths."""
        found = {}
        for number, weight in enumerate(self._model.weights):
            name = str(getattr(weight, "path", weight.name))
            found[f"{number} {name}"] = real(torch.from_numpy(np.array(weight.numpy())))
        return found

    def _layers(
        self,
        model: Any,
        inputs: Sequence[tuple[Any, int]],
        scope: str,
        found: list[Recorded],
    ) -> list[int]:
        """Record a model's layers; gives the places of its outputs."""
        sub, nodes = self._opened(model)
        made = _flat(sub([value for value, _ in inputs], training=False))
        arrays = iter([np.asarray(tensor) for tensor in made])
        known = {
            id(tensor): given for tensor, given in zip(_flat(model.inputs), inputs, strict=True)
        }
        for node in nodes:
            layer, taken = _layer(node), [known[id(t)] for t in _taken(node) if id(t) in known]
            path = f"{scope}{layer.name}"
            inner: list[int] = []
            if _has_graph(layer) and len(taken) == len(_flat(layer.inputs)):
                inner = self._layers(layer, taken, f"{path}/", found)
            elif len(taken) == 1 and (before := _before_activation(layer, taken[0][0])) is not None:
                value, source = before, taken[0][1]
                kind = f"{type(layer).__name__} before its activation"
                place = _note(found, f"{path}, before", kind, path, value, (source,))
                taken = [(value, place)]
            for number, tensor in enumerate(_flat(node.outputs)):
                array = next(arrays)
                if number < len(inner):
                    known[id(tensor)] = array, inner[number]
                    continue
                sources = tuple(sorted({place for _, place in taken}))
                name = f"{path}.{number}" if number else path
                place = _note(found, name, type(layer).__name__, path, array, sources)
                known[id(tensor)] = array, place
        return [known[id(tensor)][1] for tensor in _flat(model.outputs)]

    def _opened(self, model: Any) -> tuple[Any, list[Any]]:
        """A model of the same inputs that gives what each layer gives."""
        if id(model) not in self._shown:
            own = {id(tensor) for tensor in _flat(model.inputs)}
            depths = _graph(model)._nodes_by_depth
            nodes = [
                node
                for depth in sorted(depths, reverse=True)
                for node in depths[depth]
                if not any(id(tensor) in own for tensor in _flat(node.outputs))
            ]
            outputs = [tensor for node in nodes for tensor in _flat(node.outputs)]
            keras = import_module(type(_graph(model)).__module__.split(".")[0])
            self._shown[id(model)] = keras.Model(model.inputs, outputs), nodes
        return self._shown[id(model)]

    def _fed(self, sample: Sample) -> Mapping[str, Any]:
        given = {}
        for tensor in self._model.inputs:
            dtype = getattr(tensor.dtype, "as_numpy_dtype", tensor.dtype)
            given[_name(tensor)] = dtype, [int(n) if n else None for n in tensor.shape]
        return fed(sample, given)


def _note(
    found: list[Recorded], name: str, kind: str, scope: str, value: Any, sources: tuple[int, ...]
) -> int:
    """Record a value, and where it has features, with these first too."""
    tensor, place = real(torch.from_numpy(np.array(value))), len(found)
    found.append(Recorded(name, kind, scope, tensor, sources))
    if tensor.ndim > 2:
        first = tensor.movedim(-1, 1)
        found.append(Recorded(f"{name}, features first", kind, scope, first, (place,)))
    return place


def _before_activation(layer: Any, given: Any) -> Any:
    """What a layer gives to its activation; None where it has none, or more than one."""
    activation = getattr(layer, "activation", None)
    kind = type(layer).__name__
    if activation is None or not ("Conv" in kind or kind in ("Dense", "EinsumDense")):
        return None
    if "LSTM" in kind or getattr(activation, "__name__", "") == "linear":
        return None
    layer.activation = _as_it_is
    try:
        return np.asarray(layer(given))
    finally:
        layer.activation = activation


def _as_it_is(value: Any) -> Any:
    return value


def _graph(model: Any) -> Any:
    """The functional model behind a Sequential one of Keras 3."""
    return getattr(model, "_functional", None) or model


def _has_graph(model: Any) -> bool:
    return bool(getattr(_graph(model), "_nodes_by_depth", None))


def _layer(node: Any) -> Any:
    return node.layer if hasattr(node, "layer") else node.operation


def _taken(node: Any) -> list[Any]:
    return _flat(node.keras_inputs if hasattr(node, "keras_inputs") else node.input_tensors)


def _name(tensor: Any) -> str:
    return str(tensor.name).partition(":")[0]


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return [item for part in tree for item in _flat(part)]
    return [tree]
