"""Train an image classifier: read, judge, learn once more on everything, save."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..._shared.metrics_classification.scores import score
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.model_file import Description, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import preprocessing_of, pretrained
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.judge import judge, last, way
from ..._shared.vision_training.outcome import record_all, report_of, summary_of
from ..._shared.vision_training.pictures import Features, check_classes, read
from .learner import Learner

_SMALL_SIDE = 32


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    frozen = params.backbone.startswith("efficientnet")
    way(params, "test" in job.inputs, frozen and not params.fine_tune_blocks)
    preprocessing = _preprocessing(params)
    net, arguments = _network(params)
    keep = not frozen or params.fine_tune_blocks > 0
    data, labels = read(job, "images", preprocessing, None, _features(net), keep)
    others = {
        role: read(job, role, preprocessing, labels, _features(net), keep)[0]
        for role in ("validation", "test")
        if role in job.inputs
    }
    check_classes(data, labels, 1, "training")
    learner = Learner(params, len(labels), preprocessing, net, arguments, job.progress)
    verdict = judge(learner, data, others.get("test"), others.get("validation"), labels)
    learnt = last(learner, data, others.get("validation"), verdict)
    scores = score(verdict.probabilities, verdict.truth, labels)
    record_all(job, scores, verdict, learnt, data, others)
    summary = summary_of(params, scores, verdict, learnt, data)
    description = Description(
        architecture=params.backbone if frozen else "small-cnn",
        arguments=arguments,
        labels=labels,
        preprocessing=preprocessing,
        training=summary,
    )
    save(learnt.net, description, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, **report_of(scores, verdict, learnt, data, others)}
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


def _features(net: Any) -> Features | None:
    if net is None:
        return None

    def compute(batch: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net.features(torch.from_numpy(batch)).numpy()

    return compute
