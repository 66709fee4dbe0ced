"""What the library itself says of rows: one shape for XGBoost, LightGBM and LIBSVM."""

from __future__ import annotations

from typing import Any

import numpy as np

from .data import ANOMALY, CLASSIFICATION
from .judging import Answers


def of_xgboost(booster: Any, description: dict[str, Any], numbers: np.ndarray) -> Answers:
    """Answers of an XGBoost booster.

    Args:
        booster: it uses all its trees.
        description: task and labels.
        numbers: features, float64, shape [N, F]; NaN where nothing is known.
    """
    import xgboost  # not in every toolchain

    booster.set_param({"nthread": 1})  # sums over trees do not depend on it, their speed does
    native = ["c" if f.get("native") else "q" for f in description["features"]]
    rows = xgboost.DMatrix(
        numbers.astype(np.float32),
        feature_names=booster.feature_names,
        feature_types=native if "c" in native else None,
        enable_categorical="c" in native,
        nthread=1,
    )
    return _answers(booster.predict(rows).astype(np.float64), description)


def of_lightgbm(
    booster: Any, description: dict[str, Any], numbers: np.ndarray, rounds: int | None = None
) -> Answers:
    """Answers of a LightGBM booster, see ``of_xgboost``; of its first rounds, or of all."""
    found = booster.predict(numbers, num_iteration=rounds or -1, num_threads=1)
    return _answers(np.asarray(found), description)


def of_libsvm(model: Any, description: dict[str, Any], numbers: np.ndarray) -> Answers:
    """Answers of a LIBSVM model; its own labels are indices of the description's."""
    from libsvm.svmutil import svm_predict  # not in every toolchain

    task, gives = description["task"], description["probability"]
    said, _, values = svm_predict([], numbers, model, f"-q -b {int(gives)}")
    said = np.array(said)
    if task == ANOMALY:
        return Answers((said == -1).astype(int), decision=np.array(values)[:, 0])
    if task != CLASSIFICATION:
        return Answers(said.astype(np.float64))
    order = [int(label) for label in model.get_labels()]
    found = np.array(values, dtype=np.float64)
    if gives:
        scores = np.zeros((len(said), len(description["labels"])))
        scores[:, order] = found
        return Answers(said.astype(np.int64), scores)
    # One value for each pair of labels: of two labels, which the first of the model's is for.
    two = len(description["labels"]) == 2
    decision = found[:, 0] * (1.0 if order[0] == 1 else -1.0) if two else None
    return Answers(said.astype(np.int64), decision=decision)


def _answers(found: np.ndarray, description: dict[str, Any]) -> Answers:
    if description["task"] != CLASSIFICATION:
        return Answers(found)
    scores = np.stack([1 - found, found], axis=1) if found.ndim == 1 else found
    return Answers(scores.argmax(axis=1), scores)
