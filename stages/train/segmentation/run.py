"""Train a segmentation: read, learn, judge, save."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Output, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import load_backbone, preprocessing_of
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.course import held_out
from ..._shared.vision_training.pixels import batch_of, scaled
from .judge import Verdict, count, iou, mean_iou
from .learn import learn_pixels
from .masks import Examples, names_of, read

OUTPUTS = (Output("probabilities", "probabilities"), Output("classes", "classes"))
_AT_ONCE = 16
_DRAWS = 200


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    if ("test_images" in job.inputs) != ("test_masks" in job.inputs):
        raise Problem("test_images and test_masks belong together: give both or none")
    preprocessing = _preprocessing(params)
    named = names_of(job.inputs["masks"], params)
    data, labels = read(job, ("images", "masks"), preprocessing, named)
    learn, asked, how = _parts(job, data, labels, preprocessing)
    architecture, arguments = _architecture(params)
    net = _network(architecture, arguments, len(labels))
    history = learn_pixels(net, learn, len(labels), preprocessing, params, job.progress)
    verdict = count(_ask(net, asked.pixels, preprocessing), asked.masks, len(labels))
    figures = _record(job, verdict, labels)
    counts = {
        "images": len(learn.pixels),
        "labels": len(labels),
        "epochs": history.best_epoch,
        "unreadable": len(data.unreadable),
    }
    for name, value in counts.items():
        job.metric(name, value)
    job.plot("training", history.rows, x="epoch", y="loss", title="Training by epoch")
    summary = {
        **counts,
        "seed": params.seed,
        "evaluated_on": how,
        "evaluated_images": len(asked.pixels),
        "miou": figures["miou"],
        "pixel_accuracy": figures["pixel_accuracy"],
    }
    described = Description(
        architecture=architecture,
        arguments=arguments,
        labels=labels,
        preprocessing=preprocessing,
        training=summary,
        task="segmentation",
        outputs=OUTPUTS,
    )
    save(net, described, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, **figures, "curve": history.rows, "unreadable": data.unreadable}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _preprocessing(params: Any) -> Preprocessing:
    side, fit = params.image_size, {"resize": params.resize, "crop": 1.0}
    if params.backbone == "efficientnet-lite0":
        return replace(preprocessing_of(params.backbone, side), **fit)
    colour, count_ = ("GRAY", 1) if params.grayscale else ("RGB", 3)
    grey = (127.5,) * count_
    return Preprocessing(side, side, colour, grey, grey, interpolation="bilinear", **fit)


def _architecture(params: Any) -> tuple[str, dict[str, Any]]:
    if params.backbone == "efficientnet-lite0":
        return "unet-lite0", {"image_size": params.image_size}
    channels = 1 if params.grayscale else 3
    return "unet", {"in_channels": channels, "channels": list(params.channels)}


def _network(architecture: str, arguments: dict[str, Any], classes: int) -> nn.Module:
    net = build(architecture, arguments, classes)
    if architecture == "unet-lite0":
        load_backbone(net.backbone, "efficientnet-lite0")
    return net


def _parts(
    job: Any, data: Examples, labels: tuple[str, ...], preprocessing: Preprocessing
) -> tuple[Examples, Examples, str]:
    """What is learnt and what is asked."""
    if "test_images" in job.inputs:
        test, _ = read(job, ("test_images", "test_masks"), preprocessing, labels)
        return data, test, "the test input"
    groups = sorted(set(data.content))  # identical files stay on one side
    _, out = held_out(len(groups), job.params.holdout, job.params.seed)
    away = {groups[int(g)] for g in out}
    asked = [n for n, c in enumerate(data.content) if c in away]
    learn = [n for n, c in enumerate(data.content) if c not in away]
    return data.some(learn), data.some(asked), f"{len(asked)} held out"


def _ask(net: nn.Module, pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    net.eval()
    with torch.no_grad():
        found = [
            net(scaled(batch_of(pixels[n : n + _AT_ONCE], preprocessing), preprocessing))[1]
            for n in range(0, len(pixels), _AT_ONCE)
        ]
    return torch.cat(found).numpy()


def _record(job: Any, verdict: Verdict, labels: tuple[str, ...]) -> dict[str, Any]:
    total = verdict.total
    low, high = verdict.interval(_DRAWS, job.params.seed)
    each = {label: float(v) for label, v in zip(labels, iou(total), strict=True) if not np.isnan(v)}
    figures = {
        "miou": mean_iou(total),
        "miou_low": low,
        "miou_high": high,
        "pixel_accuracy": float(np.trace(total) / total.sum()),
    }
    for name, value in {**figures, **{f"iou.{k}": v for k, v in each.items()}}.items():
        job.metric(name, value)
    rows = [{"label": label, "iou": value} for label, value in each.items()]
    job.plot("iou", rows, x="label", y="iou", template="bar_horizontal", title="IoU by class")
    job.log(f"mean IoU {figures['miou']:.3f} ({low:.3f} to {high:.3f})")
    return {**figures, "iou": each, "confusion": total.tolist()}
