"""Confidences of classes together with which classes count as present.

The first row is the input. The second is one for every class: the specification says that the
model takes all classes for the time being, and leaves the curves to the application.

Source: Core ML specification, ClassConfidenceThresholding.proto and DataStructures.proto
(PrecisionRecallCurve).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..vectors import described_width, flat

_PARTS = (
    ("precisionValues", "precisionConfidenceThresholds"),
    ("recallValues", "recallConfidenceThresholds"),
)


@kind("classConfidenceThresholding")
def class_confidence(given: Given) -> Computation:
    """An array [2, classes]."""
    source, target = given.one_input("multi_array"), given.one_output("multi_array")
    curves = given.params.precisionRecallCurves
    width = described_width((source,))
    if curves and width is not None and len(curves) != width:
        raise given.wrong("there is not one curve for each class", len(curves), (width,))
    for number, curve in enumerate(curves):
        _check(given, number, curve)

    def run(values: Any) -> Ran:
        confidences = flat(values[source.name])
        return Ran({target.name: np.stack([confidences, np.ones(len(confidences))])}, {})

    return Computation(run)


def _check(given: Given, number: int, curve: Any) -> None:
    for names in _PARTS:
        parts = [np.array(getattr(curve, name).vector) for name in names]
        if len(parts[0]) != len(parts[1]):
            raise given.wrong(f"curve {number}: {names[0]} and {names[1]} differ in length")
        for name, part in zip(names, parts, strict=True):
            if not (np.isfinite(part) & (part >= 0)).all():
                raise given.wrong(f"curve {number}: {name} holds negative or infinite numbers")
