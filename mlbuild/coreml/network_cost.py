"""What one prediction of a neural network costs: multiply-adds, and memory of values at its peak.

A network declares no shapes between its layers. They are taken from one prediction on zeros of
the described sizes, so that a layer in a branch that this prediction does not take is not counted
but named; one in a loop counts once, as in ML Programs (``cost``).

Source: Core ML specification, NeuralNetwork.proto: the shapes of ConvolutionLayerParams,
Convolution3DLayerParams, InnerProductLayerParams, BatchedMatMulLayerParams, DotProductLayerParams
and of the recurrent layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .description import Feature
from .errors import CoreMLError
from .limits import demand
from .model import Model, load_spec
from .nn.network import walk_layers

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
_GATES = {"simpleRecurrent": 1, "gru": 3, "uniDirectionalLSTM": 4, "biDirectionalLSTM": 2 * 4}
_BYTES = 4  # every blob is float32


def network_cost(spec: Any, folder: Path) -> dict[str, Any]:
    """Multiply-adds and memory of a NeuralNetwork, NeuralNetworkClassifier or -Regressor.

    Returns:
        What ``cost`` returns for programs, by the names of layers; of a network that cannot be
        run on zeros only cost_unknown, the reason.
    """
    message = getattr(spec, spec.WhichOneof("Type"))
    try:
        model = load_spec(spec, folder)
        shapes = _run_on_zeros(model)
    except CoreMLError as error:
        return {"cost_unknown": str(error).splitlines()[0]}
    counted: dict[str, int] = {}
    uncounted: list[str] = []
    for layer in walk_layers(message.layers):
        count = _COUNTS.get(layer.WhichOneof("layer"))
        if count is None:
            continue
        if all(name in shapes for name in (*layer.input, *layer.output)):
            counted[layer.name] = counted.get(layer.name, 0) + count(layer, shapes)
        else:
            uncounted.append(layer.name)
    inputs = [feature.name for feature in model.description.inputs]
    outputs = [feature.name for feature in model.description.outputs]
    peak, place = _peak(message.layers, inputs, outputs, shapes)
    return {
        "multiply_adds": sum(counted.values()),
        "multiply_adds_by_layer": counted,
        "uncounted": uncounted,
        "peak_bytes": peak,
        "peak_at": place,
    }


def _run_on_zeros(model: Model) -> dict[str, Shape]:
    """The shapes of all blobs that a prediction made."""
    inputs = {f.name: _zero(f) for f in model.description.inputs if not f.optional}
    keep = {f.name for f in model.description.inputs} | set(model.body.values())
    return {name: value.shape for name, value in model.run(inputs, keep=keep).values.items()}


def _zero(feature: Feature) -> Any:
    if feature.image is not None:
        shape: Shape = (feature.image.height, feature.image.width, feature.image.channels)
        demand(prod(shape) * _BYTES, f"input '{feature.name}'")
        return np.zeros(shape, np.uint8)
    if feature.array is not None:
        demand(prod(feature.array.shape) * _BYTES, f"input '{feature.name}'")
        return np.zeros(feature.array.shape, feature.array.dtype)
    return 0


def _convolution(layer: Any, shapes: Shapes) -> int:
    params = layer.convolution
    window = params.kernelChannels * prod(params.kernelSize or (3, 3))
    if not params.isDeconvolution:  # a kernel is [C_in / groups, H, W]
        return int(prod(shapes[layer.output[0]]) * window)
    each = params.outputChannels // (params.nGroups or 1) * prod(params.kernelSize or (3, 3))
    return int(prod(shapes[layer.input[0]]) * each)


def _convolution3d(layer: Any, shapes: Shapes) -> int:
    params = layer.convolution3d
    size = prod(n or 1 for n in (params.kernelDepth, params.kernelHeight, params.kernelWidth))
    shared = params.outputChannels if params.isDeconvolution else params.inputChannels
    whole = shapes[layer.input[0] if params.isDeconvolution else layer.output[0]]
    return int(prod(whole) * (shared // (params.nGroups or 1)) * size)


def _inner_product(layer: Any, shapes: Shapes) -> int:
    return prod(shapes[layer.output[0]]) * int(layer.innerProduct.inputChannels)


def _batched_matmul(layer: Any, shapes: Shapes) -> int:
    first = shapes[layer.input[0]]
    first = (1, *first) if len(first) == 1 else first
    turned = len(layer.input) > 1 and layer.batchedMatmul.transposeA
    return prod(shapes[layer.output[0]]) * first[-2 if turned else -1]


def _dot(layer: Any, shapes: Shapes) -> int:
    return prod(shapes[layer.input[0]])


def _recurrent(layer: Any, shapes: Shapes) -> int:
    kind = layer.WhichOneof("layer")
    params = getattr(layer, kind)
    wide, hidden = int(params.inputVectorSize), int(params.outputVectorSize)
    steps, batch = shapes[layer.input[0]][:2]
    return steps * batch * _GATES[kind] * hidden * (wide + hidden)


_COUNTS: dict[str, Callable[[Any, Shapes], int]] = {
    "convolution": _convolution,
    "convolution3d": _convolution3d,
    "innerProduct": _inner_product,
    "batchedMatmul": _batched_matmul,
    "dot": _dot,
    **dict.fromkeys(_GATES, _recurrent),
}


def _peak(
    layers: Iterable[Any], inputs: Iterable[str], outputs: Iterable[str], shapes: Shapes
) -> tuple[int, str]:
    """The most bytes of blobs that are alive at once, and while which layer runs."""
    touched = [
        (layer.name, {n for inner in walk_layers([layer]) for n in (*inner.input, *inner.output)})
        for layer in layers
    ]
    last = {name: number for number, (_, names) in enumerate(touched) for name in names}
    last |= {name: len(touched) for name in outputs}
    sizes = {name: prod(shape) * _BYTES for name, shape in shapes.items()}
    alive = {name: sizes.get(name, 0) for name in inputs}
    peak, place = sum(alive.values()), ""
    for number, (layer, names) in enumerate(touched):
        alive |= {name: sizes.get(name, 0) for name in names}
        if (total := sum(alive.values())) > peak:
            peak, place = total, layer
        alive = {name: size for name, size in alive.items() if last.get(name, -1) > number}
    return peak, place
