"""How good answers are, recorded as metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Dict  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.metrics_classification.scores import record, score
from ..._shared.problem.problem import Problem

Facts = Dict[str, Any]  # noqa: UP006


def classes(
    job: Any, truth: Sequence[str], said: Sequence[str], scores: np.ndarray | None,
    labels: Sequence[str],
) -> Facts:  # fmt: skip
    """Accuracy and what belongs to it.

    Args:
        job: takes the metrics.
        truth: true labels, N of them.
        said: predicted ones.
        scores: probabilities in the order of ``labels``, shape [N, K]; None where there are none.
        labels: all that were learnt.

    Raises:
        Problem: a label was never learnt.
    """
    places = {label: place for place, label in enumerate(labels)}
    for label in truth:
        if label not in places:
            raise Problem(
                f"label '{label}' is to be judged, but was not learnt",
                hint=f"learnt were {', '.join(list(labels)[:10])}",
            )
    right = np.array([places[label] for label in truth])
    called = np.array([places[label] for label in said])
    sure = np.eye(len(labels))[called] if scores is None else np.asarray(scores, np.float64)
    found = score(sure, right, labels)
    if scores is None:
        job.metric("accuracy", found.accuracy, n=found.n)
        for row in found.per_class():
            if row["recall"] is not None:
                job.metric(f"recall.{row['label']}", row["recall"], n=row["n"])
            if row["precision"] is not None:
                job.metric(f"precision.{row['label']}", row["precision"], n=row["predicted"])
    else:
        record(job, found)
    job.metric("labels", len(labels))
    pairs = [{"actual": labels[t], "predicted": labels[p]} for t, p in zip(right, called)]  # noqa: B905
    job.plot("confusion", pairs, x="actual", y="predicted", template="confusion", title="Confusion")
    return {
        "accuracy": found.accuracy,
        "n": found.n,
        "per_class": found.per_class(),
        "confusion": found.confusion.tolist(),
        **({} if scores is None else {"log_loss": found.log_loss}),
    }


def numbers(job: Any, truth: Sequence[float], said: Sequence[float]) -> Facts:
    """Errors of predicted numbers."""
    right, called = np.asarray(truth, np.float64), np.asarray(said, np.float64)
    errors = called - right
    found = {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
    }
    spread = float(((right - right.mean()) ** 2).sum())
    if spread > 0:
        found["r2"] = 1 - float((errors**2).sum()) / spread
    for name, value in found.items():
        job.metric(name, value)
    rows = [{"actual": float(t), "predicted": float(p)} for t, p in zip(right, called)]  # noqa: B905
    job.plot("predictions", rows, x="actual", y="predicted", template="scatter", title="Predicted")
    return {**found, "n": len(right)}
