"""How a layer is defined, registered and found.

A file in ``layers/`` defines a layer as a function that is called once, when a model is opened,
and returns what computes::

    @layer("softmaxND")
    def softmax_nd(given: Given) -> Run:
        axis = given.params.axis
        return lambda x: torch.softmax(x, axis)

The returned function takes the layer's inputs as tensors, in order, and gives one tensor, or a
tuple of tensors where the layer has several outputs. Real values are float32, integers are kept
as float32 too, since every blob of a NeuralNetwork is real. It must be differentiable in its
inputs and weights wherever Core ML can train through the layer.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Run = Callable[..., Any]


class Jump(Exception):  # noqa: N818  it is no error
    """What a layer raises to leave the network that it stands in: break and continue of a loop.

    It passes every layer in between as it is; the loop must catch it.
    """


class ReadWeight(Protocol):
    """Reads one weight of a layer: see ``Given.weight``."""

    def __call__(self, path: str, shape: tuple[int, ...], channels: int = 0) -> torch.Tensor:
        """The weight at a path below the layer's parameters, in a shape."""
        ...


class Surroundings(Protocol):
    """What a layer may ask of the network around it."""

    @property
    def exact_shapes(self) -> bool:
        """Whether blobs keep their own rank; else all have five dimensions [S, B, C, H, W]."""
        ...

    @property
    def generator(self) -> torch.Generator | None:
        """Where random layers without a seed of their own draw from."""
        ...

    def seeded(self, place: str, seed: int) -> torch.Generator:
        """The generator of a random layer with a seed of its own.

        It begins anew in each run of the network and goes on within one, in a loop.
        """
        ...

    def network(self, message: Any, place: str) -> Run:
        """A nested network (of a branch or loop): runs in the blobs of its surroundings."""
        ...

    def has(self, name: str) -> bool:
        """Whether a blob has been made, for control flow."""
        ...

    def get(self, name: str) -> Any:
        """A blob by its name, for control flow."""
        ...

    def set(self, name: str, value: Any) -> None:
        """Make or overwrite a blob, for control flow."""
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What a layer is built from.

    Attributes:
        message: The NeuralNetworkLayer message.
        params: Its own parameters: the member of the message's oneof.
        place: Where it stands, for messages: "layer 3 'conv1', convolution".
        weight: Reads a WeightParams field as a float32 tensor of a shape, whatever its encoding
            (float32, float16, linear or look-up quantized at 1 to 8 bits); checks its size. The
            tensor of a trainable layer is the one that training changes: call it when building,
            use the tensor as it is when running. A path reaches inside:
            "weightParams.0.inputGateBiasVector". ``channels`` is the axis that linear
            quantization scales one by one.
        around: The network.
    """

    message: Any
    params: Any
    place: str
    weight: ReadWeight
    around: Surroundings


Builder = Callable[[Given], Run]
_registered: dict[str, Builder] = {}


def layer(*types: str) -> Callable[[Builder], Builder]:
    """Register a builder under the names of members of NeuralNetworkLayer's oneof."""

    def register(builder: Builder) -> Builder:
        for name in types:
            if name in _registered:
                raise ValueError(f"layer {name} is defined twice")
            _registered[name] = builder
        return builder

    return register


def builders() -> dict[str, Builder]:
    """All layers by type."""
    _discover()
    return dict(sorted(_registered.items()))


@lru_cache(maxsize=1)
def _discover() -> None:
    package = import_module(f"{__package__}.layers")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
