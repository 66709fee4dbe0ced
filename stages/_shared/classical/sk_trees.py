"""Decision trees, forests and boosted trees of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import vectorize
from .ensemble import LOGISTIC, NONE, SOFTMAX, Tree, classifier, regressor
from .frame import Frame
from .graph import Value
from .ops import mb
from .registry import maps, refuse, whole
from .results import Scores, classes_of
from .rounding import at_most

_TREES = ("DecisionTreeClassifier", "ExtraTreeClassifier")
_FORESTS = ("RandomForestClassifier", "ExtraTreesClassifier")
_FIRST_WINS = 1e-13  # in a tie the sums of leaves differ by their rounding alone


def tree_of(inner: Any, values: Any, first: int = 0, columns: Any = None) -> Tree:
    """One of scikit-learn's trees, with other values in its leaves.

    Args:
        inner: the `tree_` of an estimator.
        values: float64 [nodes, dimensions].
        first: the dimension that they begin with.
        columns: which column each of the tree's features is.
    """
    feature = np.maximum(inner.feature, 0)
    left = np.asarray(inner.children_left)
    missing = getattr(inner, "missing_go_to_left", np.zeros(len(left)))
    return Tree(
        feature=feature if columns is None else np.asarray(columns)[feature],
        threshold=at_most(inner.threshold),
        left=left,
        right=np.asarray(inner.children_right),
        missing_left=np.asarray(missing, bool),
        values=np.asarray(values, np.float64).reshape(len(left), -1),
        first=first,
    )


def shares(inner: Any) -> Any:
    """Each node's shares of the classes, [nodes, classes]."""
    counts = inner.value[:, 0, :]
    total = counts.sum(axis=1, keepdims=True)
    return counts / np.where(total == 0, 1.0, total)


def takes_missing(estimator: Any) -> bool:
    """Whether it was trained with missing values."""
    if getattr(estimator, "_get_tags", None) is None:
        return False
    inner = getattr(estimator, "tree_", None)
    if inner is not None:
        return getattr(estimator, "_support_missing_values_", False) or bool(
            np.any(getattr(inner, "missing_go_to_left", 0))
        )
    return any(takes_missing(e) for e in np.ravel(getattr(estimator, "estimators_", [])))


def _single_output(estimator: Any) -> None:
    if getattr(estimator, "n_outputs_", 1) != 1:
        classes_of(estimator)


def _members(estimator: Any) -> list[Any]:
    return list(estimator.estimators_) if hasattr(estimator, "estimators_") else [estimator]


def class_trees(estimator: Any, columns: Any = None) -> list[Tree]:
    """The trees of a classifier; each leaf's shares divided by the number of trees, so that the
    scores sum to 1 (coremltools leaves them to sum to that number).
    """
    _single_output(estimator)
    members = _members(estimator)
    return [tree_of(m.tree_, shares(m.tree_) / len(members), columns=columns) for m in members]


def _ties(count: int) -> Any:
    return np.arange(count - 1, -1, -1) * _FIRST_WINS


@maps(
    "classifier",
    *_TREES,
    *_FORESTS,
    how="tree ensemble; shares of the leaves divided by the number of trees, thresholds chosen so "
    "that doubles go the way of rounded inputs",
)
def forest_scores(estimator: Any, frame: Frame) -> Scores:
    """The mean of the trees' shares."""
    base = np.zeros(len(classes_of(estimator)))
    return Scores(regressor(frame, class_trees(estimator), base, missing=takes_missing(estimator)))


@whole(*_TREES, *_FORESTS)
def forest_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """A tree ensemble classifier."""
    return classifier(
        frame,
        class_trees(estimator),
        _ties(len(labels)),
        labels,
        missing=takes_missing(estimator),
    )


@maps(
    "regressor",
    "DecisionTreeRegressor",
    "ExtraTreeRegressor",
    "RandomForestRegressor",
    "ExtraTreesRegressor",
    how="tree ensemble; the leaves divided by the number of trees",
)
def forest_regressor(estimator: Any, frame: Frame) -> Value:
    """The mean of the trees, of each output."""
    members = _members(estimator)
    trees = [tree_of(m.tree_, m.tree_.value[:, :, 0] / len(members)) for m in members]
    count = estimator.n_outputs_
    missing = takes_missing(estimator)
    return regressor(frame, trees, np.zeros(count), missing=missing, single=count == 1)


# Gradient boosting ---------------------------------------------------------------------------


def first_guess(estimator: Any, outputs: int) -> Any:
    """What boosting begins with, which must be the same for every row."""
    init = estimator.init_
    if isinstance(init, str) or type(init).__name__ in ("DummyClassifier", "DummyRegressor"):
        row = np.zeros((1, estimator.n_features_in_), np.float32)
        return np.ravel(estimator._raw_predict_init(row)).astype(float)[:outputs]
    raise Problem(
        f"gradient boosting that begins with {type(init).__name__} is not mapped to Core ML",
        hint="leave out `init`, or init='zero'",
    )


def boosted_trees(estimator: Any, factor: float) -> list[Tree]:
    rate = estimator.learning_rate * factor
    return [
        tree_of(member.tree_, member.tree_.value[:, 0, 0] * rate, first=place)
        for stage in estimator.estimators_
        for place, member in enumerate(stage)
    ]


def _boosting_parts(estimator: Any) -> tuple[list[Tree], Any]:
    # The exponential loss's log-odds count twice.
    factor = 2.0 if estimator.loss == "exponential" else 1.0
    outputs = estimator.estimators_.shape[1]
    return boosted_trees(estimator, factor), first_guess(estimator, outputs) * factor


_BOOSTED = "tree ensemble; leaves times the learning rate, the first guess as base"


@maps("classifier", "GradientBoostingClassifier", how=_BOOSTED)
def boosting_scores(estimator: Any, frame: Frame) -> Scores:
    """Probabilities of the summed trees."""
    trees, base = _boosting_parts(estimator)
    return Scores(boosted_probabilities(frame, trees, base, False))


def boosted_probabilities(frame: Frame, trees: list[Tree], base: Any, missing: bool) -> Value:
    """Softmax, or for one sum the logistic of both classes."""
    if len(base) > 1:
        return regressor(frame, trees, base, SOFTMAX, missing)
    sums = regressor(frame, trees, base, NONE, missing)
    both = frame.graph.compute(
        "pair", sums, 2, lambda m: mb.concat(values=[mb.mul(x=m, y=np.float32(-1)), m], axis=0)
    )
    return frame.graph.compute("probabilities", both, 2, lambda m: mb.sigmoid(x=m))


@whole("GradientBoostingClassifier")
def boosting_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """A tree ensemble classifier with softmax or logistic."""
    trees, base = _boosting_parts(estimator)
    return classifier(frame, trees, base, labels, LOGISTIC if len(base) == 1 else SOFTMAX)


@maps("regressor", "GradientBoostingRegressor", how=_BOOSTED)
def boosting_regressor(estimator: Any, frame: Frame) -> Value:
    """The sum of the trees."""
    return regressor(frame, boosted_trees(estimator, 1.0), first_guess(estimator, 1), single=True)


# Isolation -----------------------------------------------------------------------------------


def _average_path(samples: Any) -> Any:
    """The mean depth of an unsuccessful search in a binary search tree of so many samples."""
    n = np.asarray(samples, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        path = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return np.where(n <= 1, 0.0, np.where(n == 2, 1.0, path))


def _depths(inner: Any) -> Any:
    depth = np.zeros(inner.node_count)
    for node in range(inner.node_count):  # a child stands behind its parent
        for child in (inner.children_left[node], inner.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1.0
    return depth


@maps("detector", "IsolationForest", how="tree ensemble of path lengths, then an ML Program")
def isolation_forest(estimator: Any, frame: Frame) -> Value:
    """The decision function: below zero is an anomaly."""
    count = len(estimator.estimators_)
    usual = count * float(_average_path(estimator._max_samples))
    trees = []
    for member, columns in zip(estimator.estimators_, estimator.estimators_features_, strict=True):
        inner = member.tree_
        length = _depths(inner) + _average_path(inner.n_node_samples)
        trees.append(tree_of(inner, length / usual if usual else length, columns=columns))
    total = regressor(frame, trees, [0.0], single=True)
    offset = float(estimator.offset_)

    def build(length: Any) -> Any:
        share = mb.exp2(x=mb.mul(x=length, y=np.float32(-1)))
        return mb.sub(x=mb.mul(x=share, y=np.float32(-1)), y=np.float32(offset))

    return frame.graph.compute("normality", vectorize(frame.graph, [total]), 1, build)


refuse("it gives a sparse code of leaves", "RandomTreesEmbedding")
