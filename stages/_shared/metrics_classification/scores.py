"""How good a classifier's probabilities are.

Sources: calibration error after Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated
probabilities using Bayesian binning": bins of equal width over the confidence of the top class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_BINS = 15
_LEAST = 1e-12  # a probability of 0 would make the log-loss infinite


@dataclass(frozen=True)
class Scores:
    """Figures of one set of predictions."""

    labels: tuple[str, ...]
    confusion: np.ndarray  # [K, K] counts; rows are true, columns predicted
    log_loss: float
    calibration_error: float
    reliability: list[dict[str, float]]  # confidence, accuracy and n of each bin

    @property
    def n(self) -> int:
        """Number of predictions."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return float(np.trace(self.confusion) / self.n)

    def per_class(self) -> list[dict[str, Any]]:
        """Precision, recall and counts of each label; precision is None if never predicted."""
        rows = []
        for index, label in enumerate(self.labels):
            right = int(self.confusion[index, index])
            true, said = int(self.confusion[index].sum()), int(self.confusion[:, index].sum())
            rows.append(
                {
                    "label": label,
                    "n": true,
                    "predicted": said,
                    "recall": right / true if true else None,
                    "precision": right / said if said else None,
                }
            )
        return rows


def score(probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str]) -> Scores:
    """Compare predictions with the truth.

    Args:
        probabilities: shape [N, K], rows sum to 1.
        truth: shape [N], indices of labels.
        labels: K names.
    """
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    given = np.clip(probabilities[np.arange(len(truth)), truth].astype(np.float64), _LEAST, 1.0)
    reliability = _reliability(probabilities.max(axis=1), predicted == truth)
    error = sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in reliability) / len(truth)
    return Scores(
        labels=tuple(labels),
        confusion=confusion,
        log_loss=float(-np.log(given).mean()),
        calibration_error=float(error),
        reliability=reliability,
    )


def record(job: Any, scores: Scores) -> None:
    """Write the figures as metrics, shares with their n."""
    job.metric("accuracy", scores.accuracy, n=scores.n)
    job.metric("log_loss", scores.log_loss)
    job.metric("calibration_error", scores.calibration_error)
    for row in scores.per_class():
        if row["recall"] is not None:
            job.metric(f"recall.{row['label']}", row["recall"], n=row["n"])
        if row["precision"] is not None:
            job.metric(f"precision.{row['label']}", row["precision"], n=row["predicted"])
        elif row["n"]:
            job.metric(f"precision.{row['label']}", 0.0)  # never predicted: nothing to count


def plot_confusion(job: Any, truth: np.ndarray, predicted: np.ndarray, scores: Scores) -> None:
    """The confusion matrix and the reliability curve as plots."""
    rows = [
        {"actual": scores.labels[t], "predicted": scores.labels[p]}
        for t, p in zip(truth.tolist(), predicted.tolist(), strict=True)
    ]
    job.plot("confusion", rows, x="actual", y="predicted", template="confusion", title="Confusion")
    job.plot(
        "reliability",
        scores.reliability,
        x="confidence",
        y="accuracy",
        template="linear",
        title="Share of right answers by confidence",
    )


def _reliability(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        {
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
            "n": int((bins == b).sum()),
        }
        for b in range(_BINS)
        if (bins == b).any()
    ]
