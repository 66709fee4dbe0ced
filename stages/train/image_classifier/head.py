"""A linear head on frozen features; its regularisation is chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from . import parts

_INNER_FOLDS = 5
_STEPS = 1000


@dataclass
class Head:
    """Logits are ``features @ weight.T + bias``; scaled back to the network's own features."""

    weight: np.ndarray  # [K, F]
    bias: np.ndarray  # [K]
    strength: float
    temperature: float
    table: list[dict[str, Any]] = field(default_factory=list)  # strength, log_loss, accuracy

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Shapes [N, F] -> [N, K]."""
        return features.astype(np.float64) @ self.weight.T + self.bias


def unit_length(features: np.ndarray) -> np.ndarray:
    """What ``UnitLinear`` does before its linear layer, shapes [N, F] -> [N, F]."""
    scaled = features.astype(np.float64) / 16.0
    return scaled / np.sqrt((scaled * scaled).sum(axis=1, keepdims=True) + 1e-4)


def fit_head(
    views: Mapping[str, np.ndarray],
    truth: np.ndarray,
    content: Sequence[str],
    classes: int,
    params: Any,
) -> Head:
    """Fit a multinomial logistic regression.

    Args:
        views: features of each view, shape [N, F]; "center" is what the network will see.
        truth: shape [N], each class present.
        content: digests, so that identical pictures share an inner fold.
        classes: K.
        params: strengths, class_weight, calibrate and seed of the kind.

    Returns:
        The head of the strength with the lowest cross-validated log-loss, each strength at its
        own best temperature, so that it is ranked by what it knows and not by how sure it is.
    """
    center = views["center"].astype(np.float64)
    mean, scale = center.mean(axis=0), float(center.std()) + 1e-12
    names = sorted(views)
    rows = {name: (views[name].astype(np.float64) - mean) / scale for name in names}
    turn = _axes(np.concatenate([rows[name] for name in names]))
    rows = {name: value @ turn for name, value in rows.items()}
    table = _cross_validate(rows, truth, content, classes, params)
    best = min(table, key=lambda row: (row["log_loss"], row["strength"]))
    weight, bias = _fit(rows, truth, np.arange(len(truth)), classes, best["strength"], params)
    temperature = best["temperature"] if params.calibrate else 1.0
    weight = (weight @ turn.T) / scale
    bias = bias - weight @ mean
    plain = [{k: v for k, v in row.items() if v is not None} for row in table]
    return Head(weight / temperature, bias / temperature, best["strength"], temperature, plain)


def best_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature at which the log-loss is lowest; above 1 means that it was too sure."""

    def loss(log_t: float) -> float:
        return _log_loss(logits / np.exp(log_t), truth)

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def _axes(rows: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the rows' span, shape [F, R].

    A squared penalty does not depend on the basis, so the fit is the same in fewer unknowns.
    """
    if rows.shape[0] >= rows.shape[1]:
        return np.eye(rows.shape[1])
    _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
    return axes[sizes > sizes[0] * 1e-10].T


def _cross_validate(
    rows: Mapping[str, np.ndarray],
    truth: np.ndarray,
    content: Sequence[str],
    classes: int,
    params: Any,
) -> list[dict[str, Any]]:
    count = min(_INNER_FOLDS, parts.smallest_class(truth, content))
    if count < 2:
        # One picture of a class cannot be both learnt and asked: the middle of the list it is.
        middle = sorted(params.strengths)[len(params.strengths) // 2]
        return [{"strength": middle, "log_loss": 0.0, "accuracy": 0.0, "temperature": 1.0}]
    table = []
    for strength in sorted(set(params.strengths)):
        logits = np.zeros((len(truth), classes))
        for learn, ask in parts.folds(truth, content, count, params.seed):
            weight, bias = _fit(rows, truth, learn, classes, strength, params)
            logits[ask] = rows["center"][ask] @ weight.T + bias
        temperature = best_temperature(logits, truth)
        table.append(
            {
                "strength": strength,
                "log_loss": _log_loss(logits / temperature, truth),
                "accuracy": float((logits.argmax(axis=1) == truth).mean()),
                "temperature": temperature,
            }
        )
    return table


def _fit(
    rows: Mapping[str, np.ndarray],
    truth: np.ndarray,
    learn: np.ndarray,
    classes: int,
    strength: float,
    params: Any,
) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([value[learn] for _, value in sorted(rows.items())])
    y = np.tile(truth[learn], len(rows))
    weights = "balanced" if params.class_weight == "balanced" else None
    model = LogisticRegression(C=strength, max_iter=_STEPS, class_weight=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a strength that does not converge will not be chosen
        model.fit(x, y)
    if classes == 2:  # scikit-learn keeps one row: the second class against the first
        return (
            np.concatenate([np.zeros_like(model.coef_), model.coef_]),
            np.concatenate([np.zeros_like(model.intercept_), model.intercept_]),
        )
    return model.coef_, model.intercept_


def _log_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(truth)), truth].mean())
