"""A NeuralNetwork, classifier or regressor behind the features of its model.

Source: Core ML specification, NeuralNetwork.proto (NeuralNetworkClassifier,
NeuralNetworkRegressor) and Model.proto (predictedFeatureName, predictedProbabilitiesName).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..body import OperatorUse, Options, Ran
from ..description import Description, Feature, describe
from ..errors import ExecutionError, InputError, ModelFileError
from .network import Blobs, Network, open_network, walk_layers
from .preprocessing import read_preprocessing
from .shapes import flat_pictures, from_blob, read_mapping

# The classifier is told apart by its labels; which outputs are made of its scores, by their kind.
_OF_SCORES = ("dictionary", "string", "int64")


class NetworkBody:
    """A compiled network with the mapping of its features.

    Attributes:
        network: See ``open_network``.
        labels: A classifier's labels in the order of its scores; else empty.
        scores_value: The blob that holds a classifier's scores.
    """

    def __init__(
        self, message: Any, description: Description, network: Network, classifies: _Scores
    ) -> None:
        self.network = network
        self.labels, self.scores_value = classifies.labels, classifies.blob
        self._classifies, self._message = classifies, message
        self._inputs = {f.name: f for f in description.inputs}
        self._outputs = description.outputs
        self._mapping = read_mapping(message)
        self._mapping.check(description.inputs)
        self._prepare = read_preprocessing(message.preprocessing, description.inputs)
        pictures = [f.name for f in description.inputs if f.image is not None]
        self._flat = flat_pictures(message, pictures) if self._mapping.rank4_images else frozenset()
        self._version = f"specification {description.spec_version}"

    @classmethod
    def of_inputs(
        cls, message: Any, description: Description, network: Network, inputs: tuple[Feature, ...]
    ) -> NetworkBody:
        """A body that maps only some of the inputs: those that a training gives."""
        return cls(message, replace(description, inputs=inputs), network, _Scores(message))

    def values(self) -> tuple[str, ...]:
        """Names of all blobs that the layers make, nested ones too, in order."""
        made = (name for layer in walk_layers(self._message.layers) for name in layer.output)
        return tuple(dict.fromkeys(made))

    def operators(self) -> tuple[OperatorUse, ...]:
        """Every layer, nested ones behind their holder."""
        return tuple(
            OperatorUse(
                str(layer.WhichOneof("layer")),
                self._version,
                layer.name,
                number,
                {"input": tuple(layer.input)},
                tuple((name, _type(layer, n)) for n, name in enumerate(layer.output)),
            )
            for number, layer in enumerate(walk_layers(self._message.layers))
        )

    def make_state(self) -> Any:
        """Networks have no state: recurrent layers take and give theirs as arrays."""
        return None

    def run(self, values: Mapping[str, Any], keep: Collection[str], state: Any = None) -> Ran:
        """Compute, in float32."""
        if unknown := sorted(set(keep) - set(self.values()) - set(self._inputs)):
            raise InputError(f"the network makes no such blob: {', '.join(unknown)}")
        with torch.inference_mode():
            outputs, kept = self.network.run(self.blobs(values), frozenset(keep))
            return Ran(self._decode(outputs), kept)

    def blobs(self, values: Mapping[str, Any]) -> Blobs:
        """Inputs in neutral form as the blobs that the first layers see."""
        blobs = {}
        for name, feature in self._inputs.items():
            value = values[name] if name in values else _absent(feature)
            blob = self._mapping.to_blob(feature, value)
            blob = self._prepare[name](blob) if name in self._prepare else blob
            blobs[name] = blob[0] if name in self._flat else blob
        return blobs

    def _decode(self, blobs: Blobs) -> dict[str, Any]:
        decoded: dict[str, Any] = {}
        for feature in self._outputs:
            if self.labels and feature.kind in _OF_SCORES:
                decoded[feature.name] = self._classifies.decode(feature, blobs)
            else:
                exact = self._mapping.exact_arrays
                decoded[feature.name] = from_blob(feature, blobs[feature.name], exact)
        return decoded


class _Scores:
    """What a classifier makes of its scores."""

    def __init__(self, message: Any) -> None:
        self.labels: tuple[str | int, ...] = ()
        self.blob: str | None = None
        if "ClassLabels" not in message.DESCRIPTOR.oneofs_by_name:
            return
        kind = message.WhichOneof("ClassLabels")
        self.labels = tuple(getattr(message, kind).vector) if kind else ()
        if not self.labels:
            raise ModelFileError("a classifier without labels")
        self.blob = message.labelProbabilityLayerName or _last_output(message)

    def decode(self, feature: Feature, blobs: Blobs) -> Any:
        """The label with the highest score, the first among equals; or all scores by label."""
        assert self.blob is not None
        scores = blobs[self.blob].reshape(-1)
        if scores.numel() != len(self.labels):
            raise ExecutionError(
                "the classifier has not one score for each label",
                place=f"blob '{self.blob}'",
                got=f"{scores.numel()} scores",
                allowed=(f"{len(self.labels)} labels",),
            )
        if feature.kind == "dictionary":
            return dict(zip(self.labels, scores.tolist(), strict=True))
        return self.labels[int(scores.argmax())]


def open_body(spec: Any, folder: Path, options: Options) -> NetworkBody:
    """Compile a network; a NeuralNetwork's weights lie in its specification, not in the folder."""
    message = getattr(spec, spec.WhichOneof("Type"))
    if options.function:
        raise InputError("a neural network has no functions", got=options.function)
    description = describe(spec)
    classifies = _Scores(message)
    made = {name for layer in walk_layers(message.layers) for name in layer.output}
    made |= {f.name for f in description.inputs}
    wanted = [
        f.name
        for f in description.outputs
        if f.name in made or not classifies.labels or f.kind not in _OF_SCORES
    ]
    if classifies.blob is not None:
        wanted.append(classifies.blob)
    inputs = [f.name for f in description.inputs]
    network = open_network(message, inputs, dict.fromkeys(wanted), seed=options.seed)
    return NetworkBody(message, description, network, classifies)


def _absent(feature: Feature) -> torch.Tensor:
    """Zeros, which is what a recurrent layer begins with."""
    if not feature.optional:
        raise InputError(f"an input is missing: {feature.name}", allowed=(str(feature),))
    if feature.image is not None:
        return torch.zeros(1, feature.image.channels, feature.image.height, feature.image.width)
    return torch.zeros(feature.array.shape if feature.array is not None else (1,))


def _last_output(message: Any) -> str:
    for layer in reversed(message.layers):
        if layer.output:
            return str(layer.output[0])
    raise ModelFileError("a classifier without a layer that gives its scores")


def _type(layer: Any, number: int) -> str:
    """The type of a layer's output, with its shape where the model tells it."""
    if number >= len(layer.outputTensor):
        return "fp32"
    tensor = layer.outputTensor[number]
    sizes = ", ".join("?" if n < 0 else str(n) for n in tensor.dimValue) or ", ".join(
        "?" * tensor.rank
    )
    return f"fp32[{sizes}]"
