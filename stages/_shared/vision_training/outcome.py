"""What the training of an image classifier leaves behind: figures, plots, the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..metrics_classification.scores import Scores, plot_confusion, record
from .judge import Learnt, Verdict
from .pictures import Pictures

_MISTAKES = 100  # listed in the report


def record_all(
    job: Any,
    scores: Scores,
    verdict: Verdict,
    learnt: Learnt,
    data: Pictures,
    others: dict[str, Pictures],
) -> None:
    """Metrics, plots and a line for the log."""
    record(job, scores)
    if verdict.fold_accuracy:
        job.metric("accuracy_spread", float(np.std(verdict.fold_accuracy)))
    job.metric("images", len(data.items))
    job.metric("labels", len(scores.labels))
    job.metric("unreadable", sum(len(p.unreadable) for p in (data, *others.values())))
    if "strength" in learnt.facts:
        job.metric("strength", learnt.facts["strength"])
    if learnt.epochs:
        job.metric("epochs", learnt.epochs)
    plot_confusion(job, verdict.truth, verdict.probabilities.argmax(axis=1), scores)
    curve = verdict.learnt.curve
    if curve and "epoch" in curve[0]:
        job.plot("training", curve, x="epoch", y="loss", title="Training by epoch")
    elif curve:
        job.plot("regularisation", curve, x="strength", y="log_loss", title="Choice of strength")
    job.log(
        f"accuracy {scores.accuracy:.3f} of {scores.n} pictures ({verdict.how}), "
        f"log-loss {scores.log_loss:.3f}, calibration error {scores.calibration_error:.3f}"
    )


def summary_of(
    params: Any, scores: Scores, verdict: Verdict, learnt: Learnt, data: Pictures
) -> dict[str, Any]:
    """What the model and the report tell of the training."""
    return {
        "backbone": params.backbone,
        "seed": params.seed,
        "images": len(data.items),
        "evaluated_on": verdict.how,
        "accuracy": scores.accuracy,
        "evaluated_images": scores.n,
        "log_loss": scores.log_loss,
        "calibration_error": scores.calibration_error,
        "epochs": learnt.epochs,
        **learnt.facts,
    }


def report_of(
    scores: Scores,
    verdict: Verdict,
    learnt: Learnt,
    data: Pictures,
    others: dict[str, Pictures],
) -> dict[str, Any]:
    """What the report tells beside the summary."""
    said, sure = verdict.probabilities.argmax(axis=1), verdict.probabilities.max(axis=1)
    wrong = sorted(np.flatnonzero(said != verdict.truth).tolist(), key=lambda i: (-sure[i], i))
    mistakes = [
        {
            "file": verdict.items[i].name,
            "label": scores.labels[verdict.truth[i]],
            "predicted": scores.labels[said[i]],
            "score": float(sure[i]),
        }
        for i in wrong[:_MISTAKES]
    ]
    unreadable = {"images": data.unreadable, **{r: p.unreadable for r, p in others.items()}}
    return {
        "labels": list(scores.labels),
        "per_class": scores.per_class(),
        "confusion": scores.confusion.tolist(),
        "fold_accuracy": verdict.fold_accuracy,
        "mistakes": mistakes,
        "unreadable": {role: found for role, found in unreadable.items() if found},
        "duplicates": _duplicates(data),
        "curve": learnt.curve,
    }


def _duplicates(data: Pictures) -> list[list[str]]:
    """Names of files with identical content."""
    same: dict[str, list[str]] = {}
    for item, content in zip(data.items, data.content, strict=True):
        same.setdefault(content, []).append(item.name)
    return sorted(names for names in same.values() if len(names) > 1)
