"""Nearest neighbours: learnt samples become part of the model.

Source: Core ML specification, NearestNeighbors.proto, Scaler.proto, Pipeline.proto.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder

from ..._shared.problem.problem import Problem
from .estimator import Estimator
from .made import Made
from .steering import whole

_SCALED = "scaled"


def neighbours(source: Estimator, params: Any) -> Made:
    """The samples of the estimator, behind its scalers.

    Raises:
        Problem: it measures or weighs in a way that Core ML has not.
    """
    _refuse(source.last, params)
    scaled = source.is_scaled
    builder = KNearestNeighborsClassifierBuilder(
        input_name=_SCALED if scaled else params.features_name,
        output_name=params.label_output,
        number_of_dimensions=source.width,
        default_class_label=source.labels[0],
        index_type=params.index,
    )
    spec = builder.spec
    own = spec.kNearestNeighborsClassifier
    for vector in np.asarray(source.last._fit_X, dtype=np.float32):
        own.nearestNeighborsIndex.floatSamples.add().vector.extend(vector.tolist())
    held = own.int64ClassLabels if isinstance(source.labels[0], int) else own.stringClassLabels
    held.vector.extend(source.labels[place] for place in source.last._y)
    own.numberOfNeighbors.Clear()
    whole(own.numberOfNeighbors, params.neighbours or source.last.n_neighbors)
    scores = spec.description.predictedProbabilitiesName
    if scaled:
        spec = _behind(source, params, spec)
    return Made(spec, "neighbours", params.label_output, source.labels, scores)


def _refuse(estimator: Any, params: Any) -> None:
    if estimator.effective_metric_ not in ("euclidean", "sqeuclidean"):
        raise Problem(
            f"neighbours by {estimator.effective_metric_} distance: Core ML knows the Euclidean one"
        )
    if estimator.weights != "uniform":
        raise Problem(
            f"neighbours with weights '{estimator.weights}': Core ML weighs by the inverse of the "
            "squared distance",
            hint="train it with weights: uniform",
        )
    if estimator._y.ndim != 1:
        raise Problem("neighbours with several targets: Core ML knows one label")
    if params.loss != "auto":
        raise Problem(f"loss: {params.loss} is for networks, this model remembers samples")


def _behind(source: Estimator, params: Any, last: Any) -> Any:
    """A pipeline of a scaler and the neighbours, of which the last learns."""
    made = type(last)()
    made.specificationVersion = last.specificationVersion
    made.isUpdatable = True
    models = made.pipelineClassifier.pipeline.models
    first = models.add()
    first.specificationVersion = last.specificationVersion
    for features, name in ((first.description.input, params.features_name),
                           (first.description.output, _SCALED)):  # fmt: skip
        _array(features.add(), name, source.width)
    # Core ML adds before it multiplies.
    first.scaler.shiftValue.extend((source.shift / source.scale).tolist())
    first.scaler.scaleValue.extend(source.scale.tolist())
    models.add().CopyFrom(last)
    described = made.description
    _array(described.input.add(), params.features_name, source.width)
    described.output.extend(last.description.output)
    described.predictedFeatureName = last.description.predictedFeatureName
    described.predictedProbabilitiesName = last.description.predictedProbabilitiesName
    _array(described.trainingInput.add(), params.features_name, source.width)
    described.trainingInput.extend(
        f for f in last.description.trainingInput if f.name == params.label_output
    )
    return made


def _array(feature: Any, name: str, width: int) -> None:
    feature.name = name
    array = feature.type.multiArrayType
    array.dataType = array.FLOAT32
    array.shape.append(width)
