"""Trees of any library as Core ML's tree ensembles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .frame import Frame
from .graph import DOUBLE, INT64, TEXT, Graph, Value

NONE, SOFTMAX, LOGISTIC = 0, 1, 2
LESS_EQUAL, LESS, EQUAL = 0, 1, 4  # what a branch asks
_LEAF = 6


@dataclass(frozen=True)
class Tree:
    """Nodes in columns; a node whose left child is negative is a leaf.

    Attributes:
        feature: which column a branch looks at, [n].
        threshold: what it is compared with, float64 [n].
        left: the child where the comparison holds, [n].
        right: the other child, [n].
        missing_left: whether a missing value goes left, [n].
        values: what a leaf adds, float64 [n, dimensions].
        compare: LESS_EQUAL, LESS or EQUAL.
        first: the dimension of the prediction that the first column of values belongs to.
    """

    feature: Any
    threshold: Any
    left: Any
    right: Any
    missing_left: Any
    values: Any
    compare: int = LESS_EQUAL
    first: int = 0


def stump(
    feature: int,
    threshold: float,
    yes: Any,
    no: Any,
    compare: int = LESS_EQUAL,
    missing_yes: bool = False,
    first: int = 0,
) -> Tree:
    """One question with two answers, each a vector."""
    values = np.zeros((3, np.size(yes)))
    values[1], values[2] = yes, no
    children = np.array([1, -1, -1]), np.array([2, -1, -1])
    missing = np.array([missing_yes, False, False])
    where, what = np.array([feature, 0, 0]), np.array([threshold, 0.0, 0.0])
    return Tree(where, what, *children, missing, values, compare, first)


def regressor(
    frame: Frame,
    trees: Sequence[Tree],
    base: Any,
    transform: int = NONE,
    missing: bool = False,
    single: bool = False,
) -> Value:
    """The sum of the trees' leaves, as a vector or as one number."""
    graph, base = frame.graph, np.atleast_1d(np.asarray(base, np.float64))
    target = graph.single("sum", DOUBLE) if single else graph.array("sums", len(base))

    def fill(spec: Any) -> None:
        part = spec.treeEnsembleRegressor
        part.postEvaluationTransform = transform
        _write(part.treeEnsemble, trees, base)
        spec.description.predictedFeatureName = target.name

    graph.model("treeEnsembleRegressor", frame.parts(), [target], fill, takes_missing=missing)
    return target


def classifier(
    frame: Frame,
    trees: Sequence[Tree],
    base: Any,
    labels: Sequence[Any],
    transform: int = NONE,
    missing: bool = False,
) -> tuple[Value, Value]:
    """The label and the scores of an ensemble."""
    graph, base = frame.graph, np.atleast_1d(np.asarray(base, np.float64))
    label, scores = labelled(graph, labels)

    def fill(spec: Any) -> None:
        part = spec.treeEnsembleClassifier
        part.postEvaluationTransform = transform
        _write(part.treeEnsemble, trees, base)
        write_labels(part, labels)
        spec.description.predictedFeatureName = label.name
        spec.description.predictedProbabilitiesName = scores.name

    graph.model(
        "treeEnsembleClassifier",
        frame.parts(),
        [label, scores],
        fill,
        takes_missing=missing,
        classifies=True,
    )
    return label, scores


def labelled(graph: Graph, labels: Sequence[Any]) -> tuple[Value, Value]:
    """The two values that a classifier gives."""
    label = graph.single("label", TEXT if isinstance(labels[0], str) else INT64)
    return label, graph.scores("scores", labels)


def write_labels(part: Any, labels: Sequence[Any]) -> None:
    """Put class labels into a classifier's parameters."""
    kind = part.stringClassLabels if isinstance(labels[0], str) else part.int64ClassLabels
    kind.vector.extend(labels)


def _write(ensemble: Any, trees: Iterable[Tree], base: Any) -> None:
    ensemble.numPredictionDimensions = len(base)
    ensemble.basePredictionValue.extend(base.tolist())
    nodes = ensemble.nodes
    for number, tree in enumerate(trees):
        rows = zip(
            np.asarray(tree.feature).tolist(),
            np.asarray(tree.threshold, np.float64).tolist(),
            np.asarray(tree.left).tolist(),
            np.asarray(tree.right).tolist(),
            np.asarray(tree.missing_left).tolist(),
            strict=True,
        )
        for place, (feature, threshold, left, right, missing_left) in enumerate(rows):
            if left < 0:
                leaf = nodes.add(treeId=number, nodeId=place, nodeBehavior=_LEAF)
                _write_leaf(leaf, np.atleast_1d(tree.values[place]), tree.first)
                continue
            nodes.add(
                treeId=number,
                nodeId=place,
                nodeBehavior=tree.compare,
                branchFeatureIndex=feature,
                branchFeatureValue=threshold,
                trueChildNodeId=left,
                falseChildNodeId=right,
                missingValueTracksTrueChild=bool(missing_left),
            )


def _write_leaf(leaf: Any, values: Any, first: int) -> None:
    shown = np.flatnonzero(values)
    # A leaf without any value is not allowed.
    for index in shown.tolist() if len(shown) else [0]:
        leaf.evaluationInfo.add(evaluationIndex=first + index, evaluationValue=float(values[index]))
