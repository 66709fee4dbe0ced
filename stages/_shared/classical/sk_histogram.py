"""Histogram gradient boosting: missing values and categories included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .categories import CategorySplits
from .ensemble import LOGISTIC, SOFTMAX, Tree, classifier, regressor
from .frame import Frame
from .graph import Value
from .ops import mb
from .registry import maps, whole
from .results import Scores, transform
from .sk_trees import boosted_probabilities

_HOW = (
    "tree ensemble in doubles; missing values as trained; a set of categories is asked by a column"
)


def _frame(estimator: Any, frame: Frame) -> Frame:
    """The columns as the trees see them: categories first, as numbers."""
    inner = getattr(estimator, "_preprocessor", None)
    if inner is None:
        return frame
    parts = []
    for name, part, columns in inner.transformers_:
        chosen = frame.take(np.arange(frame.width)[columns])
        # The numbers' part only checks its input.
        parts.append(transform(part, chosen) if name == "encoder" else chosen)
    return Frame(frame.graph, ()).join(parts)


def _trees(estimator: Any, splits: CategorySplits) -> list[Tree]:
    trees = []
    for stage in estimator._predictors:
        for place, predictor in enumerate(stage):
            trees.append(_tree(predictor, estimator, splits, place))
    return trees


def _tree(predictor: Any, estimator: Any, splits: CategorySplits, place: int) -> Tree:
    nodes = predictor.nodes
    feature = nodes["feature_idx"].astype(np.int64)
    threshold = nodes["num_threshold"].astype(np.float64)
    missing_left = nodes["missing_go_to_left"].astype(bool)
    known = _known(estimator)
    for number in np.flatnonzero(nodes["is_categorical"] & (nodes["is_leaf"] == 0)):
        bits = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][number]]
        members = _members(bits)
        others = [c for c in known.get(int(feature[number]), ()) if c not in members]
        # A category that was not seen in training goes where missing values go.
        column = splits.column(int(feature[number]), members, others, bool(missing_left[number]))
        feature[number], threshold[number] = column, 0.5
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=np.where(leaf, 0, feature),
        threshold=threshold,
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        missing_left=missing_left,
        values=nodes["value"].astype(np.float64)[:, None],
        first=place,
    )


def _members(bits: Any) -> list[int]:
    return [32 * i + b for i, word in enumerate(np.ravel(bits)) for b in range(32) if word >> b & 1]


def _known(estimator: Any) -> dict[int, list[int]]:
    if estimator.is_categorical_ is None:
        return {}
    bitsets, places = estimator._bin_mapper.make_known_categories_bitsets()
    return {
        f: _members(bitsets[places[f]]) for f in np.flatnonzero(_categorical(estimator)).tolist()
    }


def _categorical(estimator: Any) -> Any:
    inner = getattr(estimator, "_is_categorical_remapped", None)
    return estimator.is_categorical_ if inner is None else inner


def _parts(estimator: Any, frame: Frame) -> tuple[Frame, list[Tree], Any]:
    frame = _frame(estimator, frame)
    splits = CategorySplits(frame)
    trees = _trees(estimator, splits)
    base = np.ravel(np.asarray(estimator._baseline_prediction, np.float64))
    return splits.extended(), trees, base


@maps("classifier", "HistGradientBoostingClassifier", how=_HOW)
def histogram_scores(estimator: Any, frame: Frame) -> Scores:
    """Probabilities of the summed trees."""
    return Scores(boosted_probabilities(*_parts(estimator, frame), True))


@whole("HistGradientBoostingClassifier")
def histogram_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """A tree ensemble classifier with softmax or logistic."""
    frame, trees, base = _parts(estimator, frame)
    transform = LOGISTIC if len(base) == 1 else SOFTMAX
    return classifier(frame, trees, base, labels, transform, missing=True)


@maps("regressor", "HistGradientBoostingRegressor", how=_HOW)
def histogram_regressor(estimator: Any, frame: Frame) -> Value:
    """The sum of the trees, through the link of its loss."""
    frame, trees, base = _parts(estimator, frame)
    link = type(estimator._loss.link).__name__
    if link == "IdentityLink":
        return regressor(frame, trees, base, missing=True, single=True)
    if link != "LogLink":
        raise Problem(f"HistGradientBoostingRegressor with {link} is not mapped to Core ML")
    sums = regressor(frame, trees, base, missing=True)
    return frame.graph.compute("mean", sums, 1, lambda x: mb.exp(x=x))
