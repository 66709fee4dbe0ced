"""Classification by the nearest labelled samples.

A model without samples answers with its default label, with a share of one. A number of
neighbours greater than that of the samples means all of them.

Source: Core ML specification, NearestNeighbors.proto (KNearestNeighborsClassifier).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...body import Ran
from ..kind import Computation, Given, kind
from ..neighbors import read_neighbors
from ..outputs import check_classifier, classified
from ..vectors import vectorizer


@kind("kNearestNeighborsClassifier")
def nearest_neighbors(given: Given) -> Computation:
    """Labels and each one's share of the votes."""
    check_classifier(given)
    neighbors = read_neighbors(given)
    vectorize = vectorizer(given, int(given.params.nearestNeighborsIndex.numberOfDimensions))

    def run(values: Mapping[str, Any]) -> Ran:
        order, distances = neighbors.nearest(vectorize(values))
        between = {"neighbors": order, "distances": distances}
        return classified(given, neighbors.labels, neighbors.votes(order, distances), None, between)

    return Computation(run, neighbors.labels, ("neighbors", "distances", "scores"), "scores")
