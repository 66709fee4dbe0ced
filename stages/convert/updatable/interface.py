"""What an updatable network shows to an app."""

from __future__ import annotations

from typing import Any


def as_classifier(spec: Any, labels: Any, scores: str, label: str) -> Any:
    """A network with scores as a classifier of the same layers."""
    made = type(spec)()
    made.specificationVersion = spec.specificationVersion
    made.description.CopyFrom(spec.description)
    own, network = made.neuralNetworkClassifier, spec.neuralNetwork
    own.layers.extend(network.layers)
    own.preprocessing.extend(network.preprocessing)
    own.arrayInputShapeMapping = network.arrayInputShapeMapping
    own.imageInputShapeMapping = network.imageInputShapeMapping
    own.labelProbabilityLayerName = scores
    numbers = all(isinstance(name, int) for name in labels)
    (own.int64ClassLabels if numbers else own.stringClassLabels).vector.extend(labels)
    del made.description.output[:]
    said = made.description.output.add()
    said.name, said.shortDescription = label, "Label with the highest score"
    (said.type.int64Type if numbers else said.type.stringType).SetInParent()
    scored = made.description.output.add()
    scored.name, scored.shortDescription = scores, "Score of each label, 0 to 1"
    key = scored.type.dictionaryType
    (key.int64KeyType if numbers else key.stringKeyType).SetInParent()
    made.description.predictedFeatureName = label
    made.description.predictedProbabilitiesName = scores
    return made


def shape_of_value(spec: Any, name: str, shape: list[int]) -> None:
    """Say that an output is an array of float32 in this shape."""
    for feature in spec.description.output:
        if feature.name == name:
            array = feature.type.multiArrayType
            del array.shape[:]
            array.shape.extend(shape)
            array.dataType = array.FLOAT32
