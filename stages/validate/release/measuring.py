"""From answers to metrics: what was lost, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._shared.paired.counting import detectable, mcnemar, score_interval
from ..._shared.paired.resampling import bootstrap_interval, detectable_mean
from ..._shared.parity import figures
from .judging import Answered

Json = dict[str, Any]


@dataclass(frozen=True)
class How:
    """What the parameters say of intervals; ``same``: both models are equal byte for byte."""

    interval: str
    resamples: int
    seed: int
    noise: float
    same: bool


def measure(answered: Answered, how: How) -> Json:
    """All metrics: numbers, shares as ``Share.to_json`` gives them, numbers with an interval."""
    return {
        **_of_answers(answered, how),
        **_of_errors(answered, how),
        **_of_each_other(answered),
        "samples": len(answered.asked),
    }


def changes(answered: Answered, noise: float) -> np.ndarray:
    """1 for each sample that got worse, -1 for better, 0 for as before or not judged, [N]."""
    if answered.truth is not None and answered.labels is not None:
        right = answered.right
        return np.where(answered.judged, right[:, 0].astype(int) - right[:, 1].astype(int), 0)
    if answered.errors is None:
        return np.zeros(len(answered.asked), dtype=int)
    released, today = answered.errors.T
    apart = np.abs(today - released) > noise * np.maximum(today, released)
    return np.where(apart, np.sign(today - released), 0).astype(int)


def _of_each_other(answered: Answered) -> Json:
    """What both models' outputs say of each other."""
    metrics: Json = {}
    found = answered.compared.metrics()
    if answered.compared.sides():
        metrics = {"psnr_db": found["psnr_db"], "mean_abs": found["mean_abs"]}
    if answered.told is not None and answered.labels is not None:
        same = np.array([one == other for one, other in answered.told])
        metrics["agreement_top1"] = figures.share(same).to_json()
        metrics["labels_added"] = len(answered.labels.added)
        metrics["labels_removed"] = len(answered.labels.removed)
    return metrics


def _of_answers(answered: Answered, how: How) -> Json:
    """Right and wrong answers to the samples whose label both models know."""
    if answered.truth is None or answered.labels is None:
        return {}
    right, judged = answered.right, answered.judged
    metrics: Json = {}
    new = np.array([label in set(answered.labels.added) for label in answered.truth])
    if new.any():
        metrics["accuracy_new"] = figures.share(right[new, 1]).to_json()
    if not judged.any():
        return metrics
    released, today = right[judged].T
    metrics["accuracy"] = figures.share(today).to_json()
    metrics["released_accuracy"] = figures.share(released).to_json()
    steps = released.astype(int) - today.astype(int)
    losses, gains, n = int((steps > 0).sum()), int((steps < 0).sum()), len(steps)
    if how.same:
        low = high = 0.0
    elif how.interval == "score":
        low, high = score_interval(losses, gains, n)
    else:
        low, high = bootstrap_interval(steps, how.resamples, how.seed)
    metrics["drop"] = {"value": (losses - gains) / n, "low": low, "high": high, "n": n}
    metrics["detectable"] = detectable(losses + gains, n)
    return {**metrics, **_split(steps)}


def _of_errors(answered: Answered, how: How) -> Json:
    """Errors against numbers or a reference."""
    if answered.errors is None:
        return {}
    released, today = answered.errors.T
    difference = today - released
    low, high = bootstrap_interval(difference, how.resamples, how.seed)
    n = len(difference)
    return {
        "error": float(today.mean()),
        "released_error": float(released.mean()),
        "rise": {"value": float(difference.mean()), "low": low, "high": high, "n": n},
        "detectable": detectable_mean(difference),
        **_split(changes(answered, how.noise)),
    }


def _split(steps: np.ndarray) -> Json:
    worse, better = steps > 0, steps < 0
    return {
        "worse": figures.share(worse).to_json(),
        "better": figures.share(better).to_json(),
        "mcnemar_p": mcnemar(int(worse.sum()), int(better.sum())),
    }
