"""Compiles the layers of a network to a flat list of calls, and runs it.

A network computes on blobs: float32 tensors by name. Blobs that nothing needs any more are
freed. The networks inside of branches and loops share the blobs of the whole.

Source: Core ML specification, NeuralNetwork.proto: NeuralNetwork, NeuralNetworkLayer,
BranchLayerParams, LoopLayerParams.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import CoreMLError, ExecutionError, ModelFileError, UnsupportedError
from .layer import Given, Jump, Run, builders
from .weights import Trainable, find_weight, read_weight

Blobs = dict[str, torch.Tensor]

_NESTED = {"branch": ("ifBranch", "elseBranch"), "loop": ("conditionNetwork", "bodyNetwork")}


@dataclass(frozen=True, slots=True)
class Step:
    """One layer, ready to run.

    Attributes:
        dead: The blobs that die with it.
    """

    run: Run
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dead: tuple[str, ...]
    place: str


@dataclass(slots=True)
class _Frame:
    """What one run of a network holds."""

    blobs: Blobs
    keep: Collection[str] = ()
    kept: Blobs = field(default_factory=dict)
    generators: dict[str, torch.Generator] = field(default_factory=dict)


class Network:
    """Layers, compiled. Made by ``open_network``; it is what its layers see as ``around``."""

    def __init__(self, exact_shapes: bool, seed: int | None, train: bool) -> None:
        self.exact_shapes = exact_shapes
        self.trainable: dict[str, Trainable] = {}
        self.generator = None if seed is None else torch.Generator()
        self._seed, self._train = seed, train
        self._steps: tuple[Step, ...] = ()
        self._outputs: tuple[str, ...] = ()
        self._running = threading.local()  # two threads may run one model

    def compile(self, layers: Sequence[Any], inputs: Iterable[str], outputs: Iterable[str]) -> None:
        """Build every layer, in order."""
        self._outputs = tuple(outputs)
        _check_names(layers, set(inputs), self._outputs)
        dead = _deaths(layers, self._outputs)
        self._steps = tuple(self._step(m, n, dead[n], "") for n, m in enumerate(layers))

    def run(
        self, blobs: Mapping[str, torch.Tensor], keep: Collection[str] = ()
    ) -> tuple[Blobs, Blobs]:
        """Compute the outputs that the network was opened for, and the blobs named in ``keep``.

        Runs under autograd where the caller does not switch it off.

        Raises:
            ExecutionError: A layer failed; names it and its place.
        """
        if self.generator is not None and self._seed is not None:
            self.generator.manual_seed(self._seed)
        frame = _Frame(dict(blobs), keep)
        frame.kept.update((n, v) for n, v in blobs.items() if n in keep)
        self._running.frame = frame
        try:
            _walk(self._steps, frame)
        except Jump as jump:
            raise ExecutionError("a break or continue that stands in no loop") from jump
        finally:
            self._running.frame = None
        return {name: _made(frame.blobs, name) for name in self._outputs}, frame.kept

    def network(self, message: Any, place: str) -> Run:
        """A nested network; its blobs stay until the layer that holds it is done."""
        dead: tuple[str, ...] = ()
        steps = [self._step(m, n, dead, f"{place}: ") for n, m in enumerate(message.layers)]
        return lambda: _walk(steps, self._running.frame)

    def seeded(self, place: str, seed: int) -> torch.Generator:
        """The generator of a random layer with a seed of its own, one for each run."""
        generators = self._running.frame.generators
        if place not in generators:
            generators[place] = torch.Generator().manual_seed(seed)
        return generators[place]

    def has(self, name: str) -> bool:
        """Whether a blob has been made in this run."""
        return name in self._running.frame.blobs

    def get(self, name: str) -> torch.Tensor:
        """A blob of this run."""
        return _made(self._running.frame.blobs, name)

    def set(self, name: str, value: torch.Tensor) -> None:
        """Make or overwrite a blob of this run."""
        frame = self._running.frame
        frame.blobs[name] = value
        if name in frame.keep:
            frame.kept[name] = value

    def _step(self, message: Any, number: int, dead: tuple[str, ...], where: str) -> Step:
        kind = message.WhichOneof("layer")
        place = f"{where}layer {number} '{message.name}', {kind or 'of no type'}"
        builder = builders().get(kind)
        if builder is None:
            raise UnsupportedError("this runtime has no such layer", place=place)
        params = getattr(message, kind)
        given = Given(message, params, place, self._reader(message, params, place), self)
        try:
            run = builder(given)
        except CoreMLError as error:
            if error.place:
                raise
            raise type(error)(
                error.message, place=place, got=error.got, allowed=error.allowed, hint=error.hint
            ) from error
        except Exception as error:
            raise ModelFileError(f"malformed: {_first_line(error)}", place=place) from error
        return Step(run, tuple(message.input), tuple(message.output), dead, place)

    def _reader(self, layer: Any, params: Any, place: str) -> Any:
        def read(path: str, shape: tuple[int, ...], channels: int = 0) -> torch.Tensor:
            message = find_weight(params, path, place)
            name = f"{layer.name}.{path}"
            if name in self.trainable:
                return self.trainable[name].tensor
            tensor = read_weight(message, shape, f"{place}, {path}", channels)
            if self._train and layer.isUpdatable and message.isUpdatable:
                tensor.requires_grad_()
                self.trainable[name] = Trainable(tensor, message)
            return tensor

        return read


def open_network(
    message: Any,
    inputs: Iterable[str],
    outputs: Iterable[str],
    *,
    seed: int | None = None,
    train: bool = False,
) -> Network:
    """Compile a NeuralNetwork, NeuralNetworkClassifier or NeuralNetworkRegressor message.

    To train, open it with ``train=True``. ``network.trainable`` then holds every weight that is
    marked updatable in an updatable layer, by the name "layer.field" ("dense1.weights"): a leaf
    tensor that requires a gradient, and the message to write it back to::

        network = open_network(spec.neuralNetwork, ["image"], ["logits"], train=True)
        outputs, _ = network.run({"image": blob})
        loss(outputs["logits"]).backward()
        with torch.no_grad():
            for weight in network.trainable.values():
                weight.tensor.sub_(rate * weight.tensor.grad)
        for weight in network.trainable.values():
            write_weight(weight.message, weight.tensor)

    Layers compute with these very tensors, so a change in place shows in the next run.

    Args:
        message: The message that holds the layers.
        inputs: Names of the blobs that ``run`` will be given.
        outputs: Names of the blobs that ``run`` gives; also ones in the middle of the network.
        seed: Where random layers begin in each run; without it each run draws anew.
        train: Make leaves of the updatable weights.

    Raises:
        ModelFileError: A layer is malformed, or asks for a blob that no earlier one makes.
        UnsupportedError: A layer cannot be run; names it and its place.
    """
    network = Network(message.arrayInputShapeMapping == 1, seed, train)
    network.compile(message.layers, inputs, outputs)
    return network


def nested_networks(layer: Any) -> tuple[Any, ...]:
    """The networks inside of a branch or loop."""
    kind = layer.WhichOneof("layer")
    if kind not in _NESTED:
        return ()
    params = getattr(layer, kind)
    return tuple(getattr(params, name) for name in _NESTED[kind] if params.HasField(name))


def walk_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Every layer, nested ones behind the one that holds them."""
    for layer in layers:
        yield layer
        for inner in nested_networks(layer):
            yield from walk_layers(inner.layers)


def _walk(steps: Sequence[Step], frame: _Frame) -> None:
    blobs, keep = frame.blobs, frame.keep
    for step in steps:
        try:
            made = step.run(*[blobs[name] for name in step.inputs])
            if len(step.outputs) == 1:
                blobs[step.outputs[0]] = made[0] if isinstance(made, tuple) else made
            elif step.outputs:
                blobs.update(zip(step.outputs, made, strict=True))
        except Jump:
            raise
        except Exception as error:
            raise _failure(step, blobs, error) from error
        if keep:
            frame.kept.update((n, blobs[n]) for n in step.outputs if n in keep)
        for name in step.dead:
            blobs.pop(name, None)


def _failure(step: Step, blobs: Blobs, error: Exception) -> CoreMLError:
    if isinstance(error, CoreMLError) and error.place:
        return error
    if missing := [name for name in step.inputs if name not in blobs]:
        return ExecutionError(f"no layer has made the blob '{missing[0]}' yet", place=step.place)
    shapes = ", ".join(f"'{n}' {list(blobs[n].shape)}" for n in step.inputs if n in blobs)
    message = error.message if isinstance(error, CoreMLError) else _first_line(error)
    return ExecutionError(message, place=step.place, got=f"inputs {shapes}" if shapes else None)


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0] or type(error).__name__


def _made(blobs: Blobs, name: str) -> torch.Tensor:
    if name not in blobs:
        raise ExecutionError(f"no layer has made the blob '{name}'")
    return blobs[name]


def _check_names(layers: Sequence[Any], known: set[str], outputs: Iterable[str]) -> None:
    """Every blob must have been made before it is used."""
    for number, layer in enumerate(layers):
        for name in layer.input:
            if name not in known:
                raise ModelFileError(
                    f"no earlier layer or input makes the blob '{name}'",
                    place=f"layer {number} '{layer.name}', {layer.WhichOneof('layer')}",
                )
        known |= {name for inner in walk_layers([layer]) for name in inner.output}
        for inner in walk_layers([layer]):
            # In a loop a blob of the last iteration may be used before it is made.
            for name in (*inner.input, *filter(None, _conditions(inner))):
                if name not in known:
                    place = f"layer {number} '{layer.name}', {layer.WhichOneof('layer')}"
                    if inner is not layer:
                        place += f": layer '{inner.name}', {inner.WhichOneof('layer')}"
                    raise ModelFileError(f"no layer or input makes the blob '{name}'", place=place)
    for name in outputs:
        if name not in known:
            raise ModelFileError(f"no layer makes the output '{name}'")


def _deaths(layers: Sequence[Any], outputs: Collection[str]) -> list[tuple[str, ...]]:
    """For each layer the blobs that are not touched after it."""
    last: dict[str, int] = {}
    for number, layer in enumerate(layers):
        for inner in walk_layers([layer]):
            for name in (*inner.input, *inner.output, *_conditions(inner)):
                last[name] = number
    dead: list[list[str]] = [[] for _ in layers]
    for name, number in last.items():
        if name not in outputs:
            dead[number].append(name)
    return [tuple(names) for names in dead]


def _conditions(layer: Any) -> tuple[str, ...]:
    """The blob that a loop looks at."""
    return (layer.loop.conditionVar,) if layer.WhichOneof("layer") == "loop" else ()
