"""A linear head on frozen features; its regularisation is chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

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
    strengths = sorted(set(params.strengths))
    logits = {strength: np.zeros((len(truth), classes)) for strength in strengths}
    for learn, ask in parts.folds(truth, content, count, params.seed):
        start = None
        for strength in strengths:
            start = _fit(rows, truth, learn, classes, strength, params, start)
            logits[strength][ask] = rows["center"][ask] @ start[0].T + start[1]
    return [_row(strength, logits[strength], truth) for strength in strengths]


def _row(strength: float, logits: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    temperature = best_temperature(logits, truth)
    return {
        "strength": strength,
        "log_loss": _log_loss(logits / temperature, truth),
        "accuracy": float((logits.argmax(axis=1) == truth).mean()),
        "temperature": temperature,
    }


def _fit(
    rows: Mapping[str, np.ndarray],
    truth: np.ndarray,
    learn: np.ndarray,
    classes: int,
    strength: float,
    params: Any,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimize strength * sum of cross-entropies + |weight|^2 / 2, the bias unpenalized."""
    x = np.concatenate([value[learn] for _, value in sorted(rows.items())])
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    y = np.tile(truth[learn], len(rows))
    wanted = np.eye(classes)[y]
    weight = np.ones(len(y))
    if params.class_weight == "balanced":
        counts = np.maximum(np.bincount(y, minlength=classes), 1)
        weight = (len(y) / (classes * counts))[y]
    scale = strength * weight[:, None]
    penalized = np.append(np.ones(x.shape[1] - 1), 0.0)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        unknown = flat.reshape(classes, -1)
        given = log_softmax(x @ unknown.T, axis=1)
        value = -(scale * wanted * given).sum() + 0.5 * (unknown * unknown * penalized).sum()
        slope = (scale * (np.exp(given) - wanted)).T @ x + unknown * penalized
        return float(value), slope.ravel()

    first = np.zeros((classes, x.shape[1]))
    if start is not None:  # a neighbouring strength's solution is close
        first = np.concatenate([start[0], start[1][:, None]], axis=1)
    options = {"maxiter": _STEPS, "gtol": 1e-4 * strength, "ftol": 1e-9}
    found = minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    unknown = found.x.reshape(classes, -1)
    return unknown[:, :-1], unknown[:, -1]


def _log_loss(logits: np.ndarray, truth: np.ndarray) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(truth)), truth].mean())
