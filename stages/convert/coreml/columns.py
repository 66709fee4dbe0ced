"""A network of tables with one input for each column: texts become codes, all become a vector.

Source: Core ML specification, CategoricalMapping.proto, FeatureVectorizer.proto,
ArrayFeatureExtractor.proto and Model.proto (Pipeline).
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import coremltools as ct
import torch
from coremltools.proto import FeatureTypes_pb2, Model_pb2
from torch import nn

from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import Input
from .sources import Feature, Source

_VECTOR = "features"
_CLASSICAL_VERSION = 4


class _Parts(nn.Module):
    """A vector as its elements, those that are codes as whole numbers."""

    def __init__(self, columns: list[Feature]) -> None:
        super().__init__()
        self.whole = [column.dtype == "int32" for column in columns]

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Shapes [F] -> [1], F times."""
        parts = [features[place : place + 1] for place in range(len(self.whole))]
        pairs = zip(parts, self.whole, strict=True)
        return tuple(part.to(torch.int32) if whole else part for part, whole in pairs)


class _Split(nn.Module):
    """A network of columns that takes them as one vector, its value as a vector of one.

    The names of its parts are those that stay in float32: a column may hold a million.
    """

    def __init__(self, net: nn.Module, columns: list[Feature], value: bool) -> None:
        super().__init__()
        self.net = net
        self.front = _Parts(columns)
        self.unscale = nn.Flatten(0) if value else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Shapes [F] -> [1, K] or [1]."""
        return self.unscale(self.net(*self.front(features)))


def as_vector(source: Source, params: Any) -> Source:
    """The source with one input for all columns.

    Raises:
        Problem: a vector is asked for, but a column holds texts.
    """
    texts = [c.name for c in source.columns if c.categories]
    if params.features == "vector" and texts:
        raise Problem(
            f"features: vector, but the column '{texts[0]}' holds texts",
            hint="leave features: columns, or train without it",
        )
    names = ", ".join(feature.name for feature in source.features)
    name = params.features_name if params.features == "vector" else _VECTOR
    vector = Feature(name, [len(source.features)], help=f"{names}, in this order")
    return replace(
        source,
        program=_Split(source.program, source.features, not source.labels),
        features=[vector],
    )


def with_columns(mlmodel: Any, source: Source, columns: tuple[Input, ...]) -> Any:
    """The converted network behind models that make its vector from columns.

    Args:
        mlmodel: takes the vector.
        source: labels or the name of the value.
        columns: in the order of the vector.
    """
    network = mlmodel.get_spec()
    value = None if source.labels else source.outputs[0].name
    if value is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ct.utils.rename_feature(network, value, _inner(value, columns))
    texts = {c.name: f"{c.name}_code" for c in columns if c.categories}
    models = [_codes(c, texts[c.name]) for c in columns if c.categories]
    models.append(_vectorizer(columns, texts, network.description.input[0]))
    models.append(network)
    if value is not None:
        models.append(_number(network.description.output[0], value))
    spec = Model_pb2.Model(specificationVersion=network.specificationVersion)
    for column in columns:
        spec.description.input.add().CopyFrom(_column(column))
    for feature in models[-1].description.output:
        spec.description.output.add().CopyFrom(feature)
    spec.description.metadata.CopyFrom(network.description.metadata)
    pipeline = spec.pipeline
    if source.labels:
        pipeline = spec.pipelineClassifier.pipeline
        spec.description.predictedFeatureName = network.description.predictedFeatureName
        scores = network.description.predictedProbabilitiesName
        spec.description.predictedProbabilitiesName = scores
    for place, model in enumerate(models):
        pipeline.names.append(f"{place}_{model.WhichOneof('Type')}")
        pipeline.models.add().CopyFrom(model)
    return ct.models.MLModel(spec, weights_dir=mlmodel.weights_dir, skip_model_load=True)


def _inner(value: str, columns: tuple[Input, ...]) -> str:
    """A name for the network's own output that nothing else has."""
    name, taken = "network_value", {value, *(c.name for c in columns)}
    while name in taken:
        name += "_"
    return name


def _column(column: Input) -> Any:
    feature = Model_pb2.FeatureDescription(name=column.name, shortDescription=column.help)
    if column.categories:
        feature.type.stringType.SetInParent()
    else:
        feature.type.doubleType.SetInParent()
    return feature


def _codes(column: Input, name: str) -> Any:
    spec = Model_pb2.Model(specificationVersion=_CLASSICAL_VERSION)
    spec.description.input.add().CopyFrom(_column(column))
    output = spec.description.output.add(name=name)
    output.type.int64Type.SetInParent()
    for place, text in enumerate(column.categories):
        spec.categoricalMapping.stringToInt64Map.map[text] = place + 1
    spec.categoricalMapping.int64Value = 0  # of a text that was never seen, or none
    return spec


def _vectorizer(columns: tuple[Input, ...], texts: dict[str, str], vector: Any) -> Any:
    spec = Model_pb2.Model(specificationVersion=_CLASSICAL_VERSION)
    for column in columns:
        name = texts.get(column.name, column.name)
        feature = spec.description.input.add(name=name)
        if column.name in texts:
            feature.type.int64Type.SetInParent()
        else:
            feature.type.doubleType.SetInParent()
        spec.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
    # Described as the network takes it: Core ML refuses a pipeline whose models disagree.
    spec.description.output.add().CopyFrom(vector)
    return spec


def _number(value: Any, name: str) -> Any:
    """The one element of an array as a number."""
    spec = Model_pb2.Model(specificationVersion=_CLASSICAL_VERSION)
    given = spec.description.input.add()
    given.CopyFrom(value)
    given.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    output = spec.description.output.add(name=name, shortDescription="The predicted number")
    output.type.doubleType.SetInParent()
    spec.arrayFeatureExtractor.extractIndex.append(0)
    return spec
