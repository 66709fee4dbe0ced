"""Custom layers: classes of the app that the model was made for.

Source: Core ML specification, NeuralNetwork.proto, CustomLayerParams; Apple, Core ML,
MLCustomLayer (made of its parameters, given its weights, then evaluated).
"""

from __future__ import annotations

from ...errors import UnsupportedError
from ..custom import custom_layers
from ..layer import Given, Run, layer


@layer("custom")
def custom(given: Given) -> Run:
    """What was registered for the layer's class."""
    params = given.params
    make = custom_layers().get(params.className)
    if make is None:
        raise UnsupportedError(
            f"the class {params.className} of this custom layer is not registered",
            allowed=sorted(custom_layers()),
            hint="mlbuild.coreml.register_layer(class_name, function)",
        )
    parameters = {
        name: getattr(value, value.WhichOneof("value") or "intValue")
        for name, value in params.parameters.items()
    }
    weights = [given.weight(f"weights.{n}", (-1,)) for n in range(len(params.weights))]
    return make(parameters, weights)
