"""XGBoost's models, read from its own JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..problem.problem import Problem
from .boosters import EXP, IDENTITY, SIGMOID, SOFT, Boosted, number, scores, whole_classifier
from .categories import CategorySplits
from .ensemble import LESS, Tree
from .frame import Frame
from .graph import Value
from .registry import maps, whole
from .results import Scores
from .rounding import below

_LINKS = {
    "binary:logistic": SIGMOID,
    "reg:logistic": SIGMOID,
    "multi:softprob": SOFT,
    "multi:softmax": SOFT,
    "count:poisson": EXP,
    "reg:gamma": EXP,
    "reg:tweedie": EXP,
    "survival:cox": EXP,
    "survival:aft": EXP,
    **dict.fromkeys(
        ("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror",
         "binary:logitraw", "rank:pairwise", "rank:ndcg", "rank:map"),
        IDENTITY,
    ),
}  # fmt: skip


def read(booster: Any, frame: Frame, use: int | None = None) -> Boosted:
    """What a booster computes; ``use`` rounds, or all.

    Raises:
        Problem: its objective is not mapped.
    """
    model = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    objective = model["objective"]["name"]
    if objective not in _LINKS:
        raise Problem(
            f"XGBoost's objective {objective} is not mapped to Core ML",
            hint=f"mapped are {', '.join(sorted(_LINKS))}",
        )
    link = _LINKS[objective]
    facts = model["learner_model_param"]
    if int(facts.get("num_target", "1")) > 1:
        raise Problem("an XGBoost model of several targets is not mapped to Core ML")
    count = max(1, int(facts["num_class"]))
    # The base score stands in the model as a prediction, sums begin with what the link makes it of.
    base = np.full(count, _before(float(facts["base_score"]), link))
    part = model["gradient_booster"]
    if part["name"] == "gblinear":
        return _linear(part, frame, base, link, count)
    weights = part.get("weight_drop")
    inner = part["gbtree"]["model"] if part["name"] == "dart" else part["model"]
    splits = CategorySplits(frame)
    trees = []
    chosen = _used(inner, use, count)
    for place in chosen:
        factor = 1.0 if weights is None else float(weights[place])
        trees.append(_tree(inner["trees"][place], factor, int(inner["tree_info"][place]), splits))
    if not trees:
        raise Problem("the XGBoost model has no trees")
    return Boosted(splits.extended(), trees, base, link)


def _used(inner: Any, use: int | None, classes: int) -> range:
    total = len(inner["trees"])
    if use is None:
        return range(total)
    parallel = int(inner["gbtree_model_param"].get("num_parallel_tree", "1"))
    return range(min(total, use * classes * parallel))


def _before(score: float, link: str) -> float:
    score = float(np.float32(score))
    if link == SIGMOID:
        return float(-np.log(1.0 / score - 1.0))
    return float(np.log(score)) if link == EXP else score


def _linear(part: Any, frame: Frame, base: Any, link: str, count: int) -> Boosted:
    weights = np.array(part["model"]["weights"], np.float64).reshape(-1, count)
    return Boosted(frame, [], base + weights[-1], link, linear=weights[:-1].T, missing=False)


def _tree(tree: Any, factor: float, first: int, splits: CategorySplits) -> Tree:
    left = np.array(tree["left_children"], np.int64)
    feature = np.array(tree["split_indices"], np.int64)
    condition = np.array(tree["split_conditions"], np.float32)
    threshold = below(condition)
    missing = np.array(tree["default_left"], bool)
    start, sizes = tree.get("categories_segments", []), tree.get("categories_sizes", [])
    for place, node in enumerate(tree.get("categories_nodes", [])):
        # The categories that are listed go right; what is not among them goes left.
        members = tree["categories"][start[place] : start[place] + sizes[place]]
        split = splits.column(int(feature[node]), (), sorted(members), True, bool(missing[node]))
        feature[node], threshold[node] = split, 0.5
    return Tree(
        feature=feature,
        threshold=threshold,
        left=left,
        right=np.array(tree["right_children"], np.int64),
        missing_left=missing,
        values=(condition.astype(np.float64) * factor)[:, None],
        compare=LESS,
        first=first,
    )


_HOW = (
    "tree ensemble; base score read from the model, '<' on float32 kept, missing values as trained"
)


def _of_wrapper(estimator: Any, frame: Frame) -> Boosted:
    """scikit-learn's interface of XGBoost uses the rounds that early stopping found best."""
    if estimator.missing is not None and not np.isnan(estimator.missing):
        raise Problem(f"XGBoost with missing={estimator.missing} is not mapped, only with NaN")
    booster = estimator.get_booster()
    if any(t == "c" for t in booster.feature_types or ()):
        raise Problem(
            "XGBoost in scikit-learn with pandas' categories is not mapped",
            hint="encode categories in the pipeline, or use `train/xgboost`",
        )
    best = booster.attr("best_iteration")
    return read(booster, frame, None if best is None else int(best) + 1)


@maps("classifier", "XGBClassifier", "XGBRFClassifier", how=_HOW, library="xgboost")
def xgb_scores(estimator: Any, frame: Frame) -> Scores:
    """Probabilities."""
    return scores(_of_wrapper(estimator, frame))


@whole("XGBClassifier", "XGBRFClassifier", library="xgboost")
def xgb_classifier(estimator: Any, frame: Frame, labels: Sequence[Any]) -> Any:
    """A tree ensemble classifier."""
    model = _of_wrapper(estimator, frame)
    found = whole_classifier(model, labels)
    if found is None:
        raise Problem("an XGBClassifier with booster='gblinear' is not mapped to Core ML")
    return found


@maps("regressor", "XGBRegressor", "XGBRFRegressor", "XGBRanker", how=_HOW, library="xgboost")
def xgb_number(estimator: Any, frame: Frame) -> Value:
    """One number."""
    return number(_of_wrapper(estimator, frame))
