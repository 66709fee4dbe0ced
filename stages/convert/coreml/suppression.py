"""A detector as Vision takes it: the network, then Core ML's suppression of overlapping boxes.

Source: Core ML specification, NonMaximumSuppression.proto and Model.proto (Pipeline); Apple's
documentation of VNCoreMLRequest: a pipeline that ends in a suppression whose class labels are known
gives recognized objects.
"""

from __future__ import annotations

from typing import Any

import coremltools as ct
from coremltools.proto import FeatureTypes_pb2, Model_pb2

from .sources import Source

CONFIDENCE, COORDINATES = "confidence", "coordinates"
IOU, FLOOR = "iouThreshold", "confidenceThreshold"
_IOU, _FLOOR = 0.45, 0.25  # where neither the model nor the stage says
_HELP = {
    IOU: "Overlap (intersection over union) from which the less confident box is dropped",
    FLOOR: "Confidence below which a box is dropped",
    CONFIDENCE: "Boxes by classes: confidence of each",
    COORDINATES: "Boxes by 4: x and y of the middle, width, height, as shares of the image",
}


def with_suppression(mlmodel: Any, source: Source, params: Any) -> Any:
    """The converted network in a pipeline with a suppression model.

    Args:
        mlmodel: its outputs are the confidences and the boxes of all places, [A, K] and [A, 4].
        source: labels, names of the outputs, and the thresholds that training chose.
        params: of the kind; its thresholds go before those.
    """
    network = mlmodel.get_spec()
    suppression = _suppression(network, source, params)
    spec = Model_pb2.Model()
    spec.specificationVersion = network.specificationVersion
    for feature in network.description.input:
        spec.description.input.add().CopyFrom(feature)
    for name in (IOU, FLOOR):
        spec.description.input.add().CopyFrom(_threshold(name))
    for feature in suppression.description.output:
        spec.description.output.add().CopyFrom(feature)
    spec.description.metadata.CopyFrom(network.description.metadata)
    spec.pipeline.names.extend(["network", "suppression"])
    spec.pipeline.models.add().CopyFrom(network)
    spec.pipeline.models.add().CopyFrom(suppression)
    return ct.models.MLModel(spec, weights_dir=mlmodel.weights_dir, skip_model_load=True)


def _suppression(network: Any, source: Source, params: Any) -> Any:
    spec = Model_pb2.Model()
    spec.specificationVersion = network.specificationVersion
    names = {output.gives: output.name for output in source.outputs}
    for feature in network.description.output:
        spec.description.input.add().CopyFrom(feature)
    for name in (IOU, FLOOR):
        spec.description.input.add().CopyFrom(_threshold(name))
    spec.description.output.add().CopyFrom(_rows(CONFIDENCE, len(source.labels or ())))
    spec.description.output.add().CopyFrom(_rows(COORDINATES, 4))
    nms = spec.nonMaximumSuppression
    nms.confidenceInputFeatureName = names["confidences"]
    nms.coordinatesInputFeatureName = names["boxes"]
    nms.iouThresholdInputFeatureName = IOU
    nms.confidenceThresholdInputFeatureName = FLOOR
    nms.confidenceOutputFeatureName = CONFIDENCE
    nms.coordinatesOutputFeatureName = COORDINATES
    nms.iouThreshold = _chosen(params.iou_threshold, source, "iou_threshold", _IOU)
    nms.confidenceThreshold = _chosen(
        params.confidence_threshold, source, "confidence_threshold", _FLOOR
    )
    nms.pickTop.perClass = bool(source.facts.get("per_class", True))
    nms.stringClassLabels.vector.extend(source.labels or ())
    return spec


def _chosen(given: float | None, source: Source, name: str, default: float) -> float:
    return float(source.facts.get(name, default) if given is None else given)


def _threshold(name: str) -> Any:
    feature = Model_pb2.FeatureDescription()
    feature.name, feature.shortDescription = name, _HELP[name]
    feature.type.doubleType.SetInParent()
    feature.type.isOptional = True
    return feature


def _rows(name: str, columns: int) -> Any:
    """An output of any number of rows."""
    feature = Model_pb2.FeatureDescription()
    feature.name, feature.shortDescription = name, _HELP[name]
    array = feature.type.multiArrayType
    array.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    for low, high in ((0, -1), (columns, columns)):
        size = array.shapeRange.sizeRanges.add()
        size.lowerBound, size.upperBound = low, high
    return feature
