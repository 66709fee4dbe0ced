"""Python implementations of custom layers.

Source: Core ML specification, NeuralNetwork.proto, CustomLayerParams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .layer import Run

if TYPE_CHECKING:
    import torch

CustomLayer = Callable[[dict[str, Any], "list[torch.Tensor]"], Run]
_registered: dict[str, CustomLayer] = {}


def register_layer(class_name: str, function: CustomLayer) -> None:
    """Say what a custom layer computes.

    Registering a class again replaces what was registered before; models that are open keep it::

        def make(parameters, weights):
            return lambda x: x * parameters["factor"] + weights[0].reshape(-1, 1, 1)

        register_layer("MyScale", make)

    Args:
        class_name: The class that the layer names (it conforms to MLCustomLayer in the app).
        function: Called once for each such layer when a model is opened, with the layer's
            parameters by name and its weights as flat float32 tensors. Gives what computes: takes
            the layer's inputs as tensors, and gives one tensor, or a tuple for several outputs.
    """
    _registered[class_name] = function


def custom_layers() -> Mapping[str, CustomLayer]:
    """What is registered, by class."""
    return _registered
