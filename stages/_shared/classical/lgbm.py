"""LightGBM's models, read from its own dump."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .blocks import impute
from .boosters import (
    EACH_SIGMOID,
    EXP,
    IDENTITY,
    SIGMOID,
    SIGNED_SQUARE,
    SOFT,
    SOFTPLUS,
    Boosted,
    number,
    scores,
    whole_classifier,
)
from .categories import CategorySplits
from .ensemble import Tree
from .frame import Frame
from .graph import Value
from .registry import maps, whole
from .results import Scores

_LINKS = {
    "binary": SIGMOID,
    "multiclass": SOFT,
    "multiclassova": EACH_SIGMOID,
    "cross_entropy": SIGMOID,
    "cross_entropy_lambda": SOFTPLUS,
    "poisson": EXP,
    "gamma": EXP,
    "tweedie": EXP,
    **dict.fromkeys(
        ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank",
         "rank_xendcg"),
        IDENTITY,
    ),
}  # fmt: skip
_ZERO = "Zero"


def read(booster: Any, frame: Frame, use: int | None = None) -> Boosted:
    """What a booster computes, in doubles as LightGBM does.

    Raises:
        Problem: its objective, or a split, is not mapped.
    """
    dump = booster.dump_model(num_iteration=-1 if use is None else use)
    words = dump.get("objective", "custom").split()
    if words[0] not in _LINKS:
        raise Problem(
            f"LightGBM's objective {words[0]} is not mapped to Core ML",
            hint=f"mapped are {', '.join(sorted(_LINKS))}",
        )
    link, facts = _LINKS[words[0]], dict(w.split(":") for w in words[1:] if ":" in w)
    steep = float(facts.get("sigmoid", 1.0)) if link in (SIGMOID, EACH_SIGMOID) else 1.0
    if "sqrt" in words[1:]:
        link = SIGNED_SQUARE
    infos, count = dump["tree_info"], int(dump["num_tree_per_iteration"])
    if any("linear" in key for info in infos[:1] for key in _keys(info["tree_structure"])):
        raise Problem("LightGBM's linear trees have no counterpart in Core ML: linear_tree=false")
    factor = steep
    if dump.get("average_output"):  # random forests
        factor /= max(1, len(infos) // count)
    zero, splits = _Zero(), CategorySplits(frame)
    trees = [
        _tree(info["tree_structure"], factor, i % count, splits, zero)
        for i, info in enumerate(infos)
    ]
    return Boosted(zero.frame(splits.extended()), trees, np.zeros(count), link)


class _Zero:
    """Where a model was trained with zeros as missing, zeros become missing before its trees."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()

    def frame(self, frame: Frame) -> Frame:
        if _ZERO not in self.kinds:
            return frame
        if len(self.kinds) > 1:
            raise Problem("LightGBM's trees take zero as missing in some splits, not in all")
        vector = frame.vector()
        gone = impute(frame.graph, vector, np.full(vector.width, np.nan), replace=0.0)
        return Frame.of(frame.graph, gone)


def _keys(node: Mapping[str, Any]) -> set[str]:
    """Names of all that nodes hold."""
    found = {key.replace("leaf_const", "linear").replace("leaf_coeff", "linear") for key in node}
    for side in ("left_child", "right_child"):
        if side in node:
            found |= _keys(node[side])
    return found


def _tree(root: Any, factor: float, first: int, splits: CategorySplits, zero: _Zero) -> Tree:
    rows: list[list[Any]] = []

    def add(node: Mapping[str, Any]) -> int:
        place = len(rows)
        rows.append([0, 0.0, -1, -1, False, float(node.get("leaf_value", 0.0)) * factor])
        if "split_feature" in node:
            rows[place][0], rows[place][1], rows[place][4] = _question(node, splits, zero)
            rows[place][2] = add(node["left_child"])
            rows[place][3] = add(node["right_child"])
        return place

    add(root)
    feature, threshold, left, right, missing, values = (
        np.array(c) for c in zip(*rows, strict=True)
    )
    return Tree(feature, threshold, left, right, missing, values[:, None], first=first)


def _question(
    node: Mapping[str, Any], splits: CategorySplits, zero: _Zero
) -> tuple[int, float, bool]:
    """The column, the threshold, and whether a missing value goes left."""
    feature, kind = int(node["split_feature"]), node["missing_type"]
    if node["decision_type"] == "==":
        members = sorted(int(c) for c in str(node["threshold"]).split("||"))
        # What is not listed goes right, missing values too.
        return splits.column(feature, members, (), False), 0.5, False
    threshold = float(node["threshold"])
    zero.kinds.add(kind)
    if kind == "None":  # a missing value is a zero
        return feature, threshold, threshold >= 0.0
    return feature, threshold, bool(node["default_left"])


_HOW = "tree ensemble in doubles; missing values and categories as trained"


def _of_wrapper(estimator: Any, frame: Frame) -> Boosted:
    """scikit-learn's interface of LightGBM uses the rounds that early stopping found best."""
    best = estimator.best_iteration_ or None
    return read(estimator.booster_, frame, best)


@maps("classifier", "LGBMClassifier", how=_HOW, library="lightgbm")
def lgbm_scores(estimator: Any, frame: Frame) -> Scores:
    """Probabilities."""
    return scores(_of_wrapper(estimator, frame))


@whole("LGBMClassifier", library="lightgbm")
def lgbm_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """A tree ensemble classifier."""
    return whole_classifier(_of_wrapper(estimator, frame), labels)


@maps("regressor", "LGBMRegressor", "LGBMRanker", how=_HOW, library="lightgbm")
def lgbm_number(estimator: Any, frame: Frame) -> Value:
    """One number."""
    return number(_of_wrapper(estimator, frame))
