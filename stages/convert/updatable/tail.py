"""The end of a converted network, rebuilt so that Core ML can train it.

Core ML goes back from its loss through dense and convolution layers, ReLU, sigmoid, tanh, pooling,
batch normalization and `flatten`, and its cross entropy takes the output of a `softmax` layer of
the old kind, which works along the third dimension from the end. The converter writes `softmaxND`
and `reshapeStatic` on [1, N] instead. So here what comes after the last picture-like value becomes
[1, N, 1, 1], on which the old layers mean the same.

Source: Core ML specification, NeuralNetwork.proto: FlattenLayerParams, InnerProductLayerParams,
SoftmaxLayerParams.
"""

from __future__ import annotations

from typing import Any

from ..._shared.problem.problem import Problem

_TRAINABLE = ("innerProduct", "convolution")
_VECTORS = ("innerProduct", "activation")  # what may stand in a tail of [1, N]
_SOFTMAX = ("softmaxND", "softmax")


def without_softmax(network: Any, output: str) -> None:
    """Take the softmax off that the source itself ends with; ``output`` becomes its input."""
    last = _maker(network, output)
    if last.WhichOneof("layer") not in _SOFTMAX:
        raise Problem(
            "the model says that it gives probabilities, but its last layer is no softmax, but "
            f"{last.WhichOneof('layer')}"
        )
    before = _maker(network, last.input[0])
    network.layers.remove(last)
    before.output[:] = [output]


def rebuild(network: Any, logits: str) -> None:
    """Make the layers behind the last picture-like value such that gradients pass.

    Args:
        network: the layers of a NeuralNetwork; changed in place.
        logits: the blob at the end, of shape [1, N].

    Raises:
        Problem: no dense layer stands at the end.
    """
    tail = []
    layer = _maker(network, logits)
    while layer is not None and layer.WhichOneof("layer") in _VECTORS:
        tail.append(layer)
        layer = _maker(network, layer.input[0], missing=True)
    while tail and tail[-1].WhichOneof("layer") != "innerProduct":
        tail.pop()
    if not tail:
        made = "nothing" if layer is None else layer.WhichOneof("layer")
        raise Problem(
            f"the network does not end with a dense layer, but with {made}",
            hint="only dense layers (nn.Linear) at the end can be rebuilt for training",
        )
    first = tail[-1]
    before = _maker(network, first.input[0], missing=True)
    if before is not None and before.WhichOneof("layer") == "reshapeStatic":
        before.flatten.mode = before.flatten.CHANNEL_FIRST  # of a oneof: reshapeStatic is gone
        return
    _lift(network, first)


def _lift(network: Any, first: Any) -> None:
    """A vector that no reshape made: put two dimensions behind it."""
    place = next(i for i, layer in enumerate(network.layers) if layer.name == first.name)
    moved = [type(first).FromString(layer.SerializeToString()) for layer in network.layers[place:]]
    del network.layers[place:]
    lifted = network.layers.add()
    lifted.name = f"{first.name}_lifted"
    lifted.input.append(moved[0].input[0])
    lifted.output.append(f"{moved[0].input[0]}_lifted")
    lifted.expandDims.axes.extend([-2, -1])
    moved[0].input[:] = [lifted.output[0]]
    network.layers.extend(moved)


def with_softmax(network: Any, logits: str, output: str) -> None:
    """The old softmax behind the logits."""
    layer = network.layers.add()
    layer.name = "softmax"
    layer.input.append(logits)
    layer.output.append(output)
    layer.softmax.SetInParent()


def trainable(network: Any, count: int, end: str) -> list[str]:
    """Names of the last layers with weights, the last first.

    Raises:
        Problem: there are fewer.
    """
    found: list[str] = []
    waiting, seen = [end], set()
    while waiting:
        layer = _maker(network, waiting.pop(0), missing=True)
        if layer is None or layer.name in seen:
            continue
        seen.add(layer.name)
        if layer.WhichOneof("layer") in _TRAINABLE:
            found.append(layer.name)
        waiting += list(layer.input)
    if len(found) < count:
        raise Problem(f"train: {count} layers, but the network has {len(found)} with weights")
    return found[:count]


def weights_of(network: Any, names: list[str]) -> int:
    """How many numbers those layers hold."""
    total = 0
    for layer in network.layers:
        if layer.name in names:
            own = getattr(layer, layer.WhichOneof("layer"))
            total += len(own.weights.floatValue) + len(own.bias.floatValue)
    return total


def _maker(network: Any, blob: str, missing: bool = False) -> Any:
    found = next((layer for layer in network.layers if blob in layer.output), None)
    if found is None and not missing:
        raise Problem(f"the converted network lacks the value '{blob}'")
    return found
