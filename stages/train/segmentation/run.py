"""Train a segmentation: read, learn, judge, save."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, one_hot

from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Output, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import load_backbone, preprocessing_of
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.augment import augment
from ..._shared.vision_training.course import History, held_out, train
from ..._shared.vision_training.pixels import batch_of, scaled
from .judge import Verdict, count, iou, mean_iou
from .masks import IGNORED, Examples, names_of, read

OUTPUTS = (Output("probabilities", "probabilities"), Output("classes", "classes"))
_RATES = {"unet": 0.003, "efficientnet-lite0": 0.001}
_AT_ONCE = 16
_DRAWS = 200
_STILL = {"flip": False, "rotate": 0.0, "zoom": 0.0, "shift": 0.0, "erase": 0.0}


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
    history = _learn(net, learn, len(labels), preprocessing, params, job.progress)
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


def _learn(
    net: nn.Module,
    learn: Examples,
    classes: int,
    preprocessing: Preprocessing,
    params: Any,
    tell: Any,
) -> History:
    places, watched = torch.arange(len(learn.pixels)), None
    if params.patience:
        places, watched = held_out(len(learn.pixels), 0.1, params.seed + 1)
    weight = _weight(learn.masks, classes, params)
    fill = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    if not params.train_backbone:
        net.backbone.requires_grad_(False)

    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if params.backbone == "efficientnet-lite0":
            net.backbone.eval()  # few pictures would spoil the statistics of what is pretrained
        mine = places[chosen].numpy()
        pixels = batch_of(learn.pixels[mine], preprocessing)
        masks = torch.from_numpy(learn.masks[mine]).float()
        pixels, masks = _moved(pixels, masks, params.augment, generator, fill)
        scores = net.scores(scaled(pixels, preprocessing))
        return _loss(scores, masks.long(), weight, params.dice_weight)

    def watch() -> float:
        total = 0.0
        with torch.no_grad():
            for place in watched.tolist():
                pixels = scaled(batch_of(learn.pixels[[place]], preprocessing), preprocessing)
                mask = torch.from_numpy(learn.masks[[place]]).long()
                total += float(_loss(net.scores(pixels), mask, weight, params.dice_weight))
        return total / len(watched)

    looking = watch if watched is not None else None
    return train(
        net,
        len(places),
        loss_of,
        params,
        tell,
        rate=_RATES[params.backbone],
        watch=looking,
        parameters=[p for p in net.parameters() if p.requires_grad],
    )


def _loss(
    scores: torch.Tensor, masks: torch.Tensor, weight: torch.Tensor | None, dice: float
) -> torch.Tensor:
    """Cross-entropy of the pixels and one less the overlap of the classes.

    Source: Milletari et al., "V-Net" (2016), for the overlap (Dice's coefficient).
    """
    flat = scores.permute(0, 2, 3, 1).reshape(-1, scores.shape[1])
    known = masks.reshape(-1) != IGNORED
    flat, truth = flat[known], masks.reshape(-1)[known]
    if not len(truth):
        return scores.sum() * 0.0
    loss = cross_entropy(flat, truth, weight=weight)
    if not dice:
        return loss
    said, real = torch.softmax(flat, dim=1), one_hot(truth, scores.shape[1]).float()
    present = real.sum(dim=0) > 0
    both = 2 * (said * real).sum(dim=0) / (said.sum(dim=0) + real.sum(dim=0)).clamp(min=1e-6)
    return loss + dice * (1 - both[present].mean())


def _weight(masks: np.ndarray, classes: int, params: Any) -> torch.Tensor | None:
    if params.class_weight != "balanced":
        return None
    counts = np.bincount(masks[masks != IGNORED], minlength=classes).clip(min=1)
    return torch.from_numpy(counts.sum() / (classes * counts)).float()


def _moved(
    pixels: torch.Tensor,
    masks: torch.Tensor,
    options: dict[str, Any],
    generator: torch.Generator,
    fill: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move pictures and their masks alike, then colour the pictures."""
    count_ = len(pixels)

    def around(width: float) -> torch.Tensor:
        return (torch.rand(count_, generator=generator) * 2 - 1) * width

    angle, zoom = around(math.radians(options["rotate"])), 1 + around(options["zoom"])
    mirror = torch.ones(count_)
    if options["flip"]:
        mirror = torch.where(torch.rand(count_, generator=generator) < 0.5, -1.0, 1.0)
    across, down = around(2 * options["shift"]), around(2 * options["shift"])
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.stack([cos * mirror, -sin, across, sin * mirror, cos, down], dim=1)
    grid = affine_grid(theta.view(count_, 2, 3), list(pixels.shape), align_corners=False)
    pixels = grid_sample(pixels - fill, grid, align_corners=False) + fill
    # Outside is 0 for grid_sample: shifted by the ignored number, outside is ignored.
    shifted = grid_sample(masks[:, None] - IGNORED, grid, mode="nearest", align_corners=False)
    return augment(pixels, {**options, **_STILL}, generator, fill), shifted[:, 0] + IGNORED


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
