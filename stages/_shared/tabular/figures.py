"""Figures of answers, by task: metrics, rows of plots, and what a report tells beside them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn import metrics

from ..metrics_classification.scores import plot_confusion, record, score
from .judging import Answers, Verdict

_SILHOUETTE_ROWS = 2000  # it compares all pairs
_POINTS = 20_000  # rows of the plot of the confusion matrix
_RESIDUALS = 1000  # points in a plot
_MISTAKES = 100  # listed in a report


def classification(job: Any, verdict: Verdict, labels: list[Any]) -> dict[str, Any]:
    """Record how a classifier did, and give the report's part."""
    answers, truth = verdict.answers, verdict.asked.truth
    said, names = answers.said, [str(label) for label in labels]
    # Those that give no probabilities are scored as if they were sure: what needs them is left out.
    sure = np.eye(len(labels))[said]
    scores = score(sure if answers.scores is None else answers.scores, truth, names)
    if answers.scores is None:
        job.metric("accuracy", scores.accuracy, n=scores.n)
        for row in scores.per_class():
            if row["recall"] is not None:
                job.metric(f"recall.{row['label']}", row["recall"], n=row["n"])
            if row["precision"] is not None:
                job.metric(f"precision.{row['label']}", row["precision"], n=row["predicted"])
    else:
        record(job, scores)
    right = said == truth
    f1 = metrics.f1_score(truth, said, labels=range(len(labels)), average=None, zero_division=0.0)
    for name, value in zip(names, f1, strict=True):
        job.metric(f"f1.{name}", value)
    job.metric("f1", float(f1.mean()))
    recalls = [row["recall"] for row in scores.per_class() if row["recall"] is not None]
    job.metric("balanced_accuracy", float(np.mean(recalls)))
    job.metric("labels", len(labels))
    auc = _roc_auc(answers, truth, len(labels))
    if auc is not None:
        job.metric("roc_auc", auc)
    by_fold = [float(right[rows].mean()) for rows in verdict.folds]
    if by_fold:
        job.metric("accuracy_spread", float(np.std(by_fold)))
    some = _evenly(len(truth), _POINTS)
    if answers.scores is not None:
        plot_confusion(job, truth[some], said[some], scores)
    else:
        pairs = zip(truth[some], said[some], strict=True)
        rows = [{"actual": names[t], "predicted": names[s]} for t, s in pairs]
        told = {"x": "actual", "y": "predicted", "template": "confusion"}
        job.plot("confusion", rows, **told, title="Confusion")
    job.log(f"accuracy {scores.accuracy:.3f} of {scores.n} rows ({verdict.how})")
    sure_of = {"log_loss": scores.log_loss, "calibration_error": scores.calibration_error}
    return {
        "accuracy": scores.accuracy,
        "evaluated_rows": scores.n,
        "f1": float(f1.mean()),
        "roc_auc": auc,
        **(sure_of if answers.scores is not None else {}),
        "labels": names,
        "per_class": [
            {**row, "f1": float(value)} for row, value in zip(scores.per_class(), f1, strict=True)
        ],
        "confusion": scores.confusion.tolist(),
        "fold_accuracy": by_fold,
        "mistakes": _mistakes(verdict, names),
    }


def regression(job: Any, verdict: Verdict) -> dict[str, Any]:
    """Record how far a regressor was off, and give the report's part."""
    said, truth = verdict.answers.said, verdict.asked.truth
    error = said - truth
    by_fold = [_r2(truth[rows], said[rows]) for rows in verdict.folds]
    figures = {
        "r2": _r2(truth, said),
        "rmse": float(np.sqrt((error * error).mean())),
        "mae": float(np.abs(error).mean()),
        "median_error": float(np.median(np.abs(error))),
        "largest_error": float(np.abs(error).max()),
    }
    for name, value in figures.items():
        if value is not None:
            job.metric(name, value)
    known = [value for value in by_fold if value is not None]
    if known:
        job.metric("r2_spread", float(np.std(known)))
    some = _evenly(len(truth), _RESIDUALS)
    rows = [
        {"predicted": float(said[i]), "actual": float(truth[i]), "residual": float(-error[i])}
        for i in some
    ]
    job.plot("residuals", rows, x="predicted", y="residual", template="scatter", title="Residuals")
    job.plot(
        "predictions", rows, x="actual", y="predicted", template="scatter", title="Predictions"
    )
    job.log(f"rmse {figures['rmse']:.4g} of {len(truth)} rows ({verdict.how})")
    told = {"evaluated_rows": len(truth), "fold_r2": by_fold, "worst": _worst(verdict, error)}
    return {**figures, **told}


def clustering(
    job: Any, answers: Answers, numbers: np.ndarray, truth: np.ndarray | None, seed: int
) -> dict[str, Any]:
    """Record how clear clusters are, and how they agree with labels that are known."""
    found, sizes = np.unique(answers.said, return_counts=True)
    job.metric("clusters", len(found))
    if 1 < len(found) < len(answers.said):
        most = _SILHOUETTE_ROWS if len(answers.said) > _SILHOUETTE_ROWS else None
        value = metrics.silhouette_score(numbers, answers.said, sample_size=most, random_state=seed)
        job.metric("silhouette", float(value))
    if truth is not None:
        job.metric("adjusted_rand", float(metrics.adjusted_rand_score(truth, answers.said)))
        value = metrics.adjusted_mutual_info_score(truth, answers.said)
        job.metric("mutual_information", float(value))
    rows = [{"cluster": str(c), "rows": int(n)} for c, n in zip(found, sizes, strict=True)]
    job.plot("clusters", rows, x="cluster", y="rows", template="bar_horizontal", title="Clusters")
    return {"sizes": {str(c): int(n) for c, n in zip(found, sizes, strict=True)}}


def anomaly(job: Any, answers: Answers, anomalous: np.ndarray | None) -> dict[str, Any]:
    """Record how many rows are anomalous, and how the scores rank those that are known to be."""
    called = answers.said == 1
    job.metric("anomalies", float(called.mean()), n=len(called))
    decision = answers.decision
    if anomalous is not None and 0 < anomalous.sum() < len(anomalous) and decision is not None:
        job.metric("roc_auc", float(metrics.roc_auc_score(anomalous, -decision)))
        value = metrics.average_precision_score(anomalous, -decision)
        job.metric("average_precision", float(value))
    if decision is not None:
        counts, edges = np.histogram(decision, bins=20)
        rows = [{"score": float(e), "rows": int(n)} for e, n in zip(edges, counts, strict=False)]
        job.plot("scores", rows, x="score", y="rows", template="linear", title="Scores of rows")
    return {"anomalous": int(called.sum())}


def importance(job: Any, rows: list[tuple[str, float]]) -> None:
    """What counts how much, as a plot."""
    ranked = sorted(rows, key=lambda row: (-abs(row[1]), row[0]))[:50]
    job.plot(
        "importance",
        [{"feature": name, "importance": value} for name, value in ranked],
        x="importance",
        y="feature",
        template="bar_horizontal",
        title="Importance",
    )


def _evenly(count: int, most: int) -> np.ndarray:
    """At most so many indices, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _r2(truth: np.ndarray, said: np.ndarray) -> float | None:
    """None of a constant, whose variance nothing explains."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((truth - said) ** 2).sum()) / spread if spread else None


def _roc_auc(answers: Answers, truth: np.ndarray, labels: int) -> float | None:
    ranking = answers.scores if answers.scores is not None else answers.decision
    present = np.unique(truth)
    if ranking is None or len(present) < 2:
        return None
    if labels == 2:
        one = ranking[:, 1] if ranking.ndim == 2 else ranking
        return float(metrics.roc_auc_score(truth, one))
    each = [metrics.roc_auc_score(truth == k, ranking[:, k]) for k in present]
    return float(np.mean(each))


def _mistakes(verdict: Verdict, names: list[str]) -> list[dict[str, Any]]:
    said, truth, scores = verdict.answers.said, verdict.asked.truth, verdict.answers.scores
    sure = np.ones(len(said)) if scores is None else scores.max(axis=1)
    wrong = sorted(np.flatnonzero(said != truth).tolist(), key=lambda i: (-sure[i], i))
    return [
        {
            "row": verdict.asked.table.place(i),
            "label": names[truth[i]],
            "predicted": names[said[i]],
            "score": None if scores is None else float(sure[i]),
        }
        for i in wrong[:_MISTAKES]
    ]


def _worst(verdict: Verdict, error: np.ndarray) -> list[dict[str, Any]]:
    order = np.argsort(-np.abs(error), kind="stable")[:_MISTAKES]
    return [
        {
            "row": verdict.asked.table.place(int(i)),
            "actual": float(verdict.asked.truth[i]),
            "predicted": float(verdict.answers.said[i]),
        }
        for i in order
        if math.isfinite(error[i])
    ]
