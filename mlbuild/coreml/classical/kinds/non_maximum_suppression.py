"""Of boxes that overlap, the one of the highest confidence.

A box's confidence is the greatest of its row, and its class the first one of that confidence.
Boxes below the confidence threshold are dropped; of the others the best is kept, those whose
intersection over union with it is greater than the threshold are dropped, and so on. (The
specification says "less", but also that a threshold of 1 suppresses nothing.) Equal confidences
keep their order. With ``perClass`` boxes suppress only boxes of their own class.

Kept boxes come out by falling confidence. Where an output's first dimension is described, so
many rows are given (for a range: at least and at most so many), the rest of them zeros.

Source: Core ML specification, NonMaximumSuppression.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ...description import Feature
from ...errors import InputError
from ...limits import demand
from ..kind import Computation, Given, kind


@kind("nonMaximumSuppression")
def non_maximum_suppression(given: Given) -> Computation:
    """Confidences [boxes, classes] and coordinates [boxes, 4] of what is kept."""
    params = given.params
    _check(given)
    labels = _labels(given)
    least, most = _rows(given)
    per_class = params.pickTop.perClass

    def run(values: Mapping[str, Any]) -> Ran:
        confidence = _matrix(values, params.confidenceInputFeatureName)
        boxes = _matrix(values, params.coordinatesInputFeatureName)
        if boxes.shape != (len(confidence), 4) or not confidence.shape[1]:
            raise InputError(
                "confidences and coordinates do not fit",
                place=given.type,
                got=f"{list(confidence.shape)} and {list(boxes.shape)}",
                allowed=("[boxes, classes] and [boxes, 4]",),
            )
        iou = values.get(params.iouThresholdInputFeatureName, params.iouThreshold)
        floor = values.get(params.confidenceThresholdInputFeatureName, params.confidenceThreshold)
        kept = _keep(confidence, boxes, iou, floor, per_class, most)
        outputs = {
            params.confidenceOutputFeatureName: _padded(confidence[kept], least),
            params.coordinatesOutputFeatureName: _padded(boxes[kept], least),
        }
        return Ran(outputs, {"kept": kept})

    return Computation(run, labels, ("kept",))


def _keep(
    confidence: Any, boxes: Any, iou: float, floor: float, per_class: bool, most: int | None
) -> Any:
    best = confidence.max(axis=1)
    classes = confidence.argmax(axis=1)
    order = np.argsort(-best, kind="stable")
    waiting = order[best[order] >= floor]
    kept: list[int] = []
    while len(waiting) and (most is None or len(kept) < most):
        top, rest = waiting[0], waiting[1:]
        kept.append(int(top))
        suppressed = _overlap(boxes[top], boxes[rest]) > iou
        if per_class:
            suppressed &= classes[rest] == classes[top]
        waiting = rest[~suppressed]
    return np.array(kept, np.int64)


def _overlap(box: Any, others: Any) -> Any:
    """Intersection over union of a box (x, y of the middle, width, height) with others."""
    low = np.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    union = box[2] * box[3] + others[:, 2] * others[:, 3] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)


def _padded(rows: Any, least: int) -> Any:
    missing = max(least - len(rows), 0)
    demand(8 * missing * rows.shape[1], "nonMaximumSuppression")
    return np.concatenate([rows, np.zeros((missing, rows.shape[1]))])


def _matrix(values: Mapping[str, Any], name: str) -> Any:
    array = values[name].double().numpy()
    if array.ndim != 2:
        raise InputError(
            "not a matrix",
            place=f"input '{name}'",
            got=str(list(array.shape)),
            allowed=("[rows, columns]",),
        )
    return array


def _labels(given: Given) -> tuple[str | int, ...]:
    which = given.params.WhichOneof("ClassLabels")
    return tuple(getattr(given.params, which).vector) if which else ()


def _check(given: Given) -> None:
    params = given.params
    inputs, outputs = _names(given.inputs), _names(given.description.outputs)
    for side, known, fields in (
        ("input", inputs, ("confidenceInputFeatureName", "coordinatesInputFeatureName")),
        ("output", outputs, ("confidenceOutputFeatureName", "coordinatesOutputFeatureName")),
    ):
        for field in fields:
            if getattr(params, field) not in known:
                raise given.wrong(
                    f"{field} is not a described {side}", repr(getattr(params, field)), known
                )
    if not 0 <= params.iouThreshold <= 1:
        raise given.wrong("iouThreshold is out of range", params.iouThreshold, ("0 to 1",))
    if not params.confidenceThreshold >= 0:
        raise given.wrong("confidenceThreshold is negative", params.confidenceThreshold)


def _names(features: tuple[Feature, ...]) -> tuple[str, ...]:
    return tuple(feature.name for feature in features if feature.array is not None)


def _rows(given: Given) -> tuple[int, int | None]:
    """The least and the greatest number of boxes that the outputs' shapes allow."""
    least, most = 0, None
    for feature in given.description.outputs:
        layout = feature.array
        if layout is None:
            continue
        if layout.ranges:
            low, high = layout.ranges[0]
        elif layout.shape:
            low, high = layout.shape[0], layout.shape[0]
        else:
            continue
        least = max(least, low)
        most = high if most is None else most if high is None else min(most, high)
    if most is not None and least > most:
        raise given.wrong("the outputs' numbers of boxes contradict each other", (least, most))
    return least, most
