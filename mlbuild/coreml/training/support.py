"""What Core ML can train: the checks that it makes before it compiles an updatable network.

Source: Core ML specification, NeuralNetwork.proto (isUpdatable of layers and WeightParams,
LossLayer), and what coremltools' validator refuses: layers between a trained one and the loss
must be of a short list, and a cross entropy takes the output of a softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ModelFileError, UnsupportedError

_TRAINABLE = ("convolution", "innerProduct", "uniDirectionalLSTM")
_PASSABLE = (*_TRAINABLE, "flatten", "pooling", "batchnorm")
_PASSABLE_ACTIVATIONS = ("ReLU", "sigmoid", "tanh")


@dataclass(frozen=True, slots=True)
class Loss:
    """Where a loss is taken.

    Attributes:
        kind: ``cross_entropy`` or ``mean_squared_error``.
        input: The blob that is judged: of a cross entropy what goes *into* the softmax, so that
            the logarithm of a vanishing probability never has to be taken.
        target: The name of the truth among the training inputs.
    """

    kind: str
    input: str
    target: str


def read_loss(network: Any) -> Loss:
    """Check an updatable network and find its loss.

    Raises:
        ModelFileError: The network is not one that Core ML would accept for training.
        UnsupportedError: It has more than one loss.
    """
    losses = network.updateParams.lossLayers
    if not losses:
        raise ModelFileError("the model has no loss", place="update parameters")
    if len(losses) > 1:
        raise UnsupportedError(
            "a model with more than one loss cannot be trained, by Core ML either",
            place="update parameters",
        )
    makers = {name: layer for layer in network.layers for name in layer.output}
    which = losses[0].WhichOneof("LossLayerType")
    if which is None:
        raise ModelFileError("the loss is of no known kind", place=f"loss '{losses[0].name}'")
    message = getattr(losses[0], which)
    place = f"loss '{losses[0].name}'"
    if message.target in makers:
        raise ModelFileError("the target is made by the network itself", place=place)
    maker = makers.get(message.input)
    if maker is None:
        raise ModelFileError(
            "no layer makes what the loss judges", place=place, got=message.input or "nothing"
        )
    _check_layers(network)
    if which == "meanSquaredErrorLossLayer":
        _check_path([maker], makers)
        return Loss("mean_squared_error", message.input, message.target)
    if maker.WhichOneof("layer") != "softmax":
        raise ModelFileError(
            "a cross entropy must judge the output of a softmax layer",
            place=place,
            got=f"layer '{maker.name}', {maker.WhichOneof('layer')}",
            hint="a softmaxND layer is none: rebuild the last layer as softmax",
        )
    _check_path([makers[n] for n in maker.input if n in makers], makers)
    return Loss("cross_entropy", maker.input[0], message.target)


def _check_layers(network: Any) -> None:
    names = [layer.name for layer in network.layers]
    names += [loss.name for loss in network.updateParams.lossLayers]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelFileError(f"two layers bear the same name: {', '.join(twice)}")
    trained = [layer for layer in network.layers if layer.isUpdatable]
    if not trained:
        raise ModelFileError("the model is updatable, but none of its layers is")
    for layer in trained:
        kind = layer.WhichOneof("layer")
        place = f"layer '{layer.name}', {kind}"
        if kind not in _TRAINABLE:
            raise ModelFileError(
                "a layer of this kind cannot be trained", place=place, allowed=_TRAINABLE
            )
        if kind != "uniDirectionalLSTM":
            _check_weights(getattr(layer, kind), place)


def _check_weights(params: Any, place: str) -> None:
    for name in ("weights", "bias") if params.hasBias else ("weights",):
        weight = getattr(params, name)
        if weight.HasField("quantization"):
            raise ModelFileError(f"quantized {name} cannot be trained", place=place)
        if not weight.isUpdatable:
            raise ModelFileError(f"the layer's {name} are not marked as updatable", place=place)


def _check_path(starts: list[Any], makers: dict[str, Any]) -> None:
    """Refuse a trained layer that lies behind one through which Core ML cannot go back."""
    waiting: list[tuple[Any, str | None]] = [(layer, None) for layer in starts]
    seen: set[tuple[str, bool]] = set()
    while waiting:
        layer, barrier = waiting.pop()
        if (layer.name, barrier is not None) in seen:
            continue
        seen.add((layer.name, barrier is not None))
        if layer.isUpdatable and barrier is not None:
            raise ModelFileError(
                f"Core ML cannot train this layer, since the loss lies behind {barrier}",
                place=f"layer '{layer.name}', {layer.WhichOneof('layer')}",
                allowed=(*_PASSABLE, "activation (ReLU, sigmoid, tanh)"),
            )
        if barrier is None and not _passable(layer):
            barrier = f"layer '{layer.name}', {layer.WhichOneof('layer')}"
        waiting += [(makers[name], barrier) for name in layer.input if name in makers]


def _passable(layer: Any) -> bool:
    kind = layer.WhichOneof("layer")
    if kind == "activation":
        return layer.activation.WhichOneof("NonlinearityType") in _PASSABLE_ACTIVATIONS
    return kind in _PASSABLE
