"""Train an image classifier: read, judge, learn once more on everything, save."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..._shared.metrics_classification.scores import Scores, plot_confusion, record, score
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.model_file import Description, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import preprocessing_of, pretrained
from ..._shared.torch_setup.configure import configure
from .judge import Verdict, judge, way
from .learner import Learner, Learnt
from .pictures import Pictures, check_classes, read

_SMALL_SIDE = 32
_MISTAKES = 100  # listed in the report


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    frozen = params.backbone.startswith("efficientnet")
    tested = "test" in job.inputs
    if (way(params, tested) == "test") != tested:
        what = "is not used" if tested else "is missing"
        raise Problem(f"evaluate: {params.evaluate}, but the input 'test' {what}")
    preprocessing = _preprocessing(params)
    net, arguments = _network(params)
    keep = not frozen or params.fine_tune_blocks > 0
    data, labels = read(job, "images", preprocessing, None, net, keep)
    others = {
        role: read(job, role, preprocessing, labels, net, keep)[0]
        for role in ("validation", "test")
        if role in job.inputs
    }
    check_classes(data, labels, 1, "training")
    learner = Learner(params, len(labels), preprocessing, net, arguments, job.progress)
    verdict = judge(learner, data, others.get("test"), others.get("validation"), labels)
    learnt = _last(learner, data, others.get("validation"), verdict)
    scores = score(verdict.probabilities, verdict.truth, labels)
    _record(job, scores, verdict, learnt, data, others)
    summary = _summary(params, scores, verdict, learnt, data)
    description = Description(
        architecture=params.backbone if frozen else "small-cnn",
        arguments=arguments,
        labels=labels,
        preprocessing=preprocessing,
        training=summary,
    )
    save(learnt.net, description, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, **_details(scores, verdict, learnt, data, others)}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _preprocessing(params: Any) -> Preprocessing:
    how = {"resize": params.resize, "crop": params.crop, "interpolation": params.interpolation}
    if params.backbone.startswith("efficientnet"):
        return replace(preprocessing_of(params.backbone, params.image_size), **how)
    side, channels = params.image_size or _SMALL_SIDE, 1 if params.grayscale else 3
    return Preprocessing(
        height=side,
        width=side,
        colour="GRAY" if params.grayscale else "RGB",
        mean=(127.5,) * channels,
        std=(127.5,) * channels,
        **how,
    )


def _network(params: Any) -> tuple[Any, dict[str, Any]]:
    """The pretrained backbone, if there is one, and the architecture's arguments."""
    if params.backbone.startswith("efficientnet"):
        # The number of classes is not known yet: the learner puts a head of its own on it.
        net, _, arguments = pretrained(params.backbone, 2, params.head, params.image_size)
        net.dropout.p = params.dropout
        return net.to(memory_format=torch.channels_last), arguments  # half the time of the other
    side, shortest = params.image_size or _SMALL_SIDE, 2 ** (len(params.channels) - 1)
    if side < shortest:
        raise Problem(f"{len(params.channels)} stages need pictures of {shortest} pixels at least")
    channels = 1 if params.grayscale else 3
    return None, {
        "in_channels": channels,
        "channels": list(params.channels),
        "dropout": params.dropout,
    }


def _last(learner: Learner, data: Pictures, watch: Pictures | None, verdict: Verdict) -> Learnt:
    if verdict.how == "the test input" or not learner.params.refit:
        return verdict.learnt
    everything = np.arange(len(data.truth))
    if watch is not None:
        return learner.learn(data, everything, watch)
    # Without pictures to watch it takes as long as it took when it was judged.
    return learner.learn(data, everything, epochs=verdict.epochs or None)


def _record(
    job: Any,
    scores: Scores,
    verdict: Verdict,
    learnt: Learnt,
    data: Pictures,
    others: dict[str, Pictures],
) -> None:
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


def _summary(
    params: Any, scores: Scores, verdict: Verdict, learnt: Learnt, data: Pictures
) -> dict[str, Any]:
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


def _details(
    scores: Scores,
    verdict: Verdict,
    learnt: Learnt,
    data: Pictures,
    others: dict[str, Pictures],
) -> dict[str, Any]:
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
