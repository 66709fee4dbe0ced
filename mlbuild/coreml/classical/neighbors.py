"""Labelled samples and how the nearest of them vote.

The distance is the squared Euclidean one, the only one that the format has, computed in doubles
from the float samples; of equally near samples the earlier one is nearer. Each of the k nearest
has one vote, or 1 / distance votes; samples at distance zero outvote all others. Where several
labels have the same votes the smallest one wins, which the specification leaves open. A k-d
tree and a linear index hold the same samples and give the same answers.

Source: Core ML specification, NearestNeighbors.proto and Parameters.proto (Int64Parameter).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .kind import Given
from .outputs import Label


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The state of a nearest neighbours classifier.

    Attributes:
        samples: float32 [n, dimensions].
        owners: The position in ``labels`` of each sample's label, int64 [n].
        labels: Each label once, in ascending order.
        k: How many neighbours vote.
        default: The label of a model without samples.
    """

    samples: Any
    owners: Any
    labels: tuple[Label, ...]
    k: int
    by_distance: bool
    default: Label | None

    def nearest(self, point: Any) -> tuple[Any, Any]:
        """Positions and squared distances of the nearest samples, nearest first."""
        # 64 rows at a time: differences of all samples at once would double the model's memory
        parts = [
            ((self.samples[start : start + 64] - point) ** 2).sum(axis=1)
            for start in range(0, len(self.samples), 64)
        ]
        distances = np.concatenate(parts) if parts else np.zeros(0)
        order = np.argsort(distances, kind="stable")[: self.k]
        return order, distances[order]

    def votes(self, order: Any, distances: Any) -> Any:
        """Each label's share of the votes, float64 [labels], which sum to one."""
        if not len(order):
            return np.array([float(label == self.default) for label in self.labels])
        weights = np.ones(len(order))
        if self.by_distance:
            exact = distances == 0
            weights = exact.astype(float) if exact.any() else 1.0 / np.where(exact, 1, distances)
        votes = np.bincount(self.owners[order], weights, len(self.labels))
        return votes / votes.sum()


def read_neighbors(given: Given) -> Neighbors:
    """Check a nearest neighbours classifier and read its samples."""
    params, index = given.params, given.params.nearestNeighborsIndex
    dimensions = index.numberOfDimensions
    if dimensions < 1:
        raise given.wrong("numberOfDimensions is not positive", dimensions)
    if index.HasField("singleKdTreeIndex") and index.singleKdTreeIndex.leafSize < 1:
        raise given.wrong("the leaves of the k-d tree are empty", index.singleKdTreeIndex.leafSize)
    vectors = [sample.vector for sample in index.floatSamples]
    for number, vector in enumerate(vectors):
        if len(vector) != dimensions:
            raise given.wrong(f"sample {number} has the wrong length", len(vector), (dimensions,))
    good, allowed = allowed_counts(params.numberOfNeighbors)
    if not good:
        count = params.numberOfNeighbors.defaultValue
        raise given.wrong("a number of neighbours that is not allowed", count, allowed)
    samples = np.array(vectors, np.float32).reshape(len(vectors), dimensions)
    owned, default = _labels(given, len(vectors))
    labels = tuple(sorted({*owned, *([] if default is None else [default])}))
    places = {label: place for place, label in enumerate(labels)}
    return Neighbors(
        samples,
        np.array([places[label] for label in owned], np.int64),
        labels,
        int(params.numberOfNeighbors.defaultValue),
        params.WhichOneof("WeightingScheme") == "inverseDistanceWeighting",
        default,
    )


def allowed_counts(parameter: Any) -> tuple[bool, tuple[str, ...]]:
    """Whether an Int64Parameter's value is positive and allowed, and what is allowed."""
    value, which = parameter.defaultValue, parameter.WhichOneof("AllowedValues")
    if which == "range":
        low, high = parameter.range.minValue, parameter.range.maxValue
        return value >= 1 and low <= value <= high, (f"{low} to {high}",)
    if which == "set":
        values = tuple(parameter.set.values)
        return value >= 1 and value in values, tuple(str(item) for item in values)
    return value >= 1, ("1 or more",)


def set_neighbors(spec: Any, count: int) -> None:
    """Change how many neighbours vote in a classifier's specification, within its limits.

    Raises:
        InputError: The model does not allow this number; it is unchanged.
    """
    parameter = spec.kNearestNeighborsClassifier.numberOfNeighbors
    wanted = type(parameter)()
    wanted.CopyFrom(parameter)
    wanted.defaultValue = count
    good, allowed = allowed_counts(wanted)
    if not good:
        raise InputError(
            "the model does not allow this number of neighbours", got=str(count), allowed=allowed
        )
    parameter.defaultValue = count


def _labels(given: Given, samples: int) -> tuple[list[Label], Label | None]:
    params = given.params
    which, fallback = params.WhichOneof("ClassLabels"), params.WhichOneof("DefaultClassLabel")
    owned = list(getattr(params, which).vector) if which else []
    default = getattr(params, fallback) if fallback else None
    if len(owned) != samples:
        raise given.wrong("each sample needs one class label", len(owned), (samples,))
    if not samples and default is None:
        raise given.wrong("neither samples nor a default class label")
    if owned and default is not None and type(default) is not type(owned[0]):
        raise given.wrong("class labels and the default one are of different types")
    return owned, default
