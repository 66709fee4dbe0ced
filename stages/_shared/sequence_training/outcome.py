"""What a training leaves behind: figures, plots, the report, the model, samples for validation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics_classification.scores import Scores, plot_confusion, record, score
from ..torch_model.model_file import Description, save
from .judge import Learnt, Verdict
from .rows import file_name, spread

_MISTAKES = 100  # listed in the report


def record_classifier(
    job: Any, truth: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...]
) -> Scores:
    """Record a classifier's figures and plots."""
    scores = score(probabilities, truth, labels)
    record(job, scores)
    plot_confusion(job, truth, probabilities.argmax(axis=1), scores)
    return scores


def record_folds(job: Any, verdict: Verdict) -> list[float]:
    """The accuracy of each fold, and their deviation as a metric."""
    right = verdict.answers.argmax(axis=1) == verdict.rows.truth
    found = [float(right[places].mean()) for places in verdict.folds]
    if found:
        job.metric("accuracy_spread", float(np.std(found)))
    return found


def plot_training(job: Any, verdict: Verdict) -> None:
    """The loss by epoch, of the training that was judged last."""
    job.plot("training", verdict.learnt.curve, x="epoch", y="loss", title="Training by epoch")


def mistakes(
    truth: np.ndarray, probabilities: np.ndarray, names: Sequence[str], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """Wrong answers, the surest first."""
    said, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = sorted(np.flatnonzero(said != truth).tolist(), key=lambda i: (-sure[i], i))
    return [
        {
            "example": names[i],
            "label": labels[truth[i]],
            "predicted": labels[said[i]],
            "score": float(sure[i]),
        }
        for i in wrong[:_MISTAKES]
    ]


def classifier_facts(scores: Scores, verdict: Verdict, learnt: Learnt) -> dict[str, Any]:
    """What the model and the report tell of the training."""
    return {
        "evaluated_on": verdict.how,
        "evaluated": scores.n,
        "accuracy": scores.accuracy,
        "log_loss": scores.log_loss,
        "calibration_error": scores.calibration_error,
        "epochs": learnt.epochs,
        **learnt.facts,
    }


def write_model(job: Any, learnt: Learnt, description: Description) -> None:
    """Save the network and record its size."""
    save(learnt.net, description, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)


def write_report(job: Any, report: Mapping[str, Any]) -> None:
    """Write the report."""
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def write_samples(
    folder: Path,
    arrays: Sequence[Mapping[str, np.ndarray]],
    names: Sequence[str],
    labels: Sequence[str] | None,
    limit: int,
) -> None:
    """Examples that were asked, as the converted model takes them: an ``.npz`` file each.

    Args:
        folder: made here; with labels a folder for each.
        arrays: each example's inputs by name.
        names: of the examples.
        labels: the true one of each, where there are labels.
        limit: at most so many, evenly spread.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, place in enumerate(spread(len(arrays), limit)):
        target = folder / file_name(labels[place]) if labels else folder
        target.mkdir(exist_ok=True)
        # np.savez writes the same bytes for the same arrays: it dates its members to 1980.
        np.savez(target / f"{number:04d}-{file_name(names[place])[:60]}.npz", **arrays[place])
