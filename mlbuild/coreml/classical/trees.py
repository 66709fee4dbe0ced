"""Ensembles of decision trees: read and checked once, then walked all at once.

A branch compares one element of the input with its value and goes to its true or false child; a
missing element (NaN) goes where ``missingValueTracksTrueChild`` says, whatever the comparison.
The leaves that are reached add their values to the base prediction. Comparisons are made in
doubles: a model trained in float32 agrees wherever inputs and thresholds are float32 numbers.

Source: Core ML specification, TreeEnsemble.proto (TreeEnsembleParameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .kind import Given
from .vectors import described_width

_LEAF = 6
# Whether a branch is true, by behaviour (<=, <, >=, >, ==, !=, leaf) and by how the element
# compares with the branch's value (less, equal, greater).
_TRUE = np.array(
    [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 1, 0], [1, 0, 1], [1, 1, 1]], bool
)


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes in columns; children are positions in them, a leaf is its own child."""

    behaviour: Any
    feature: Any
    value: Any
    true_child: Any
    false_child: Any
    missing_is_true: Any
    roots: Any
    starts: Any  # where each node's leaf values begin in `targets` and `amounts`
    counts: Any
    targets: Any
    amounts: Any
    base: Any

    def evaluate(self, vector: Any) -> Any:
        """The sum of base and leaf values, float64 [prediction dimensions]."""
        at = self.roots
        while not (self.behaviour[at] == _LEAF).all():
            element = vector[self.feature[at]]
            value = self.value[at]
            compared = np.where(element < value, 0, np.where(element == value, 1, 2))
            true = _TRUE[self.behaviour[at], compared]
            true = np.where(np.isnan(element), self.missing_is_true[at], true)
            at = np.where(true, self.true_child[at], self.false_child[at])
        counts = self.counts[at]
        ends = np.cumsum(counts)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
        taken = np.repeat(self.starts[at], counts) + within
        result = self.base.copy()
        np.add.at(result, self.targets[taken], self.amounts[taken])
        return result


def read_trees(given: Given) -> Trees:
    """Check an ensemble: every tree has one root, no cycle, and children that exist."""
    params = given.params.treeEnsemble
    dimensions = params.numPredictionDimensions
    if dimensions < 1 or dimensions != len(params.basePredictionValue):
        raise given.wrong(
            "the base prediction has not one value for each prediction dimension",
            len(params.basePredictionValue),
            (dimensions,),
        )
    nodes = params.nodes
    places = _places(given, nodes)
    true_child, false_child = _children(given, nodes, places)
    roots = _roots(given, nodes, true_child, false_child)
    _check_reached(given, nodes, roots, true_child, false_child)
    _check_nodes(given, nodes, dimensions)
    info = [node.evaluationInfo if node.nodeBehavior == _LEAF else () for node in nodes]
    counts = np.array([len(each) for each in info], np.int64)
    behaviour = np.array([node.nodeBehavior for node in nodes], np.int64)
    features = [0 if n.nodeBehavior == _LEAF else n.branchFeatureIndex for n in nodes]
    return Trees(
        behaviour,
        np.array(features, np.int64),
        np.array([node.branchFeatureValue for node in nodes], np.float64),
        np.array(true_child, np.int64),
        np.array(false_child, np.int64),
        np.array([node.missingValueTracksTrueChild for node in nodes], bool),
        np.array(roots, np.int64),
        np.cumsum(counts) - counts,
        counts,
        np.array([one.evaluationIndex for each in info for one in each], np.int64),
        np.array([one.evaluationValue for each in info for one in each], np.float64),
        np.array(params.basePredictionValue, np.float64),
    )


def _shown(node: Any) -> str:
    return f"node {node.nodeId} of tree {node.treeId}"


def _places(given: Given, nodes: Any) -> dict[tuple[int, int], int]:
    places: dict[tuple[int, int], int] = {}
    for place, node in enumerate(nodes):
        if places.setdefault((node.treeId, node.nodeId), place) != place:
            raise given.wrong(f"{_shown(node)} stands twice")
    if not places:
        raise given.wrong("an ensemble without trees")
    return places


def _children(
    given: Given, nodes: Any, places: dict[tuple[int, int], int]
) -> tuple[list[int], list[int]]:
    children: tuple[list[int], list[int]] = ([], [])
    for place, node in enumerate(nodes):
        ids = (node.trueChildNodeId, node.falseChildNodeId)
        for side, child in zip(children, ids, strict=True):
            if node.nodeBehavior == _LEAF:
                side.append(place)
            elif (found := places.get((node.treeId, child))) is None:
                raise given.wrong(f"{_shown(node)} has a child that does not exist", child)
            else:
                side.append(found)
    return children


def _roots(given: Given, nodes: Any, true_child: list[int], false_child: list[int]) -> list[int]:
    parents = [0] * len(nodes)
    for place, node in enumerate(nodes):
        if node.nodeBehavior != _LEAF:
            for child in (true_child[place], false_child[place]):
                parents[child] += 1
                if parents[child] > 1:
                    raise given.wrong(f"{_shown(nodes[child])} is the child of two branches")
    roots: dict[int, int] = {}
    for place, node in enumerate(nodes):
        if not parents[place] and roots.setdefault(node.treeId, place) != place:
            first = nodes[roots[node.treeId]].nodeId
            raise given.wrong(f"tree {node.treeId} has two roots", f"{first} and {node.nodeId}")
    return list(roots.values())


def _check_reached(
    given: Given, nodes: Any, roots: list[int], true_child: list[int], false_child: list[int]
) -> None:
    """Nodes have one parent at most, so those that no root reaches stand in a cycle."""
    reached, waiting = [False] * len(nodes), list(roots)
    while waiting:
        place = waiting.pop()
        reached[place] = True
        if nodes[place].nodeBehavior != _LEAF:
            waiting += [true_child[place], false_child[place]]
    if not all(reached):
        raise given.wrong(f"{_shown(nodes[reached.index(False)])} is its own ancestor")


def _check_nodes(given: Given, nodes: Any, dimensions: int) -> None:
    width = described_width(given.inputs)
    limit = 2**31 if width is None else width
    for node in nodes:
        if not 0 <= node.nodeBehavior <= _LEAF:
            raise given.wrong(f"{_shown(node)} has an unknown behaviour", node.nodeBehavior)
        if node.nodeBehavior != _LEAF:
            if node.branchFeatureIndex >= limit:
                raise given.wrong(
                    f"{_shown(node)} asks for an element that the inputs have not",
                    node.branchFeatureIndex,
                    (f"0 to {limit - 1}",),
                )
            continue
        targets = [info.evaluationIndex for info in node.evaluationInfo]
        if not targets:
            raise given.wrong(f"{_shown(node)} is a leaf without a value")
        if len(set(targets)) != len(targets) or max(targets) >= dimensions:
            raise given.wrong(
                f"{_shown(node)} adds to dimensions that are not there, or twice to one",
                targets,
                (f"0 to {dimensions - 1}, each once",),
            )
