"""Train an object detector: read, learn, judge, save."""

from __future__ import annotations

import json
from typing import Any

import torch

from ..._shared.detection.average_precision import score
from ..._shared.detection.examples import Examples, read
from ..._shared.detection.judge import detect, record
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Output, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import load_backbone, preprocessing_of
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.course import History, held_out, train
from ..._shared.vision_training.pixels import batch_of, scaled
from .loss import detection_loss
from .move import moved

_RATES = {"small-cnn": 0.003, "efficientnet-lite0": 0.001}
OUTPUTS = (Output("raw_confidence", "confidences"), Output("raw_coordinates", "boxes"))


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    preprocessing = _preprocessing(params)
    data, labels = read(job, "images", preprocessing, None)
    learn, asked, how = _parts(job, data, preprocessing, labels)
    watched = read(job, "validation", preprocessing, labels)[0] if _watches(job) else None
    architecture, arguments = _architecture(params)
    net = _network(architecture, arguments, len(labels), params)
    history = _learn(net, learn, watched, preprocessing, params, job.progress)
    found = detect(net, asked.pixels, preprocessing, params.iou_threshold, params.per_class)
    scores = score(found, asked.truth(), labels)
    figures = record(job, scores, params.confidence_threshold, params.seed)
    boxes = sum(len(c) for c in learn.classes)
    counts = {"images": len(learn), "boxes": boxes, "labels": len(labels)}
    for name, count in counts.items():
        job.metric(name, count)
    job.metric("unreadable", len(data.unreadable))
    job.metric("epochs", history.best_epoch)
    job.plot("training", history.rows, x="epoch", y="loss", title="Training by epoch")
    summary = {
        "backbone": params.backbone,
        "seed": params.seed,
        "evaluated_on": how,
        "evaluated_images": len(asked),
        **counts,
        **{name: figures[name] for name in ("map", "map50", "map75")},
    }
    description = Description(
        architecture=architecture,
        arguments=arguments,
        labels=labels,
        preprocessing=preprocessing,
        training=summary,
        task="object-detector",
        outputs=OUTPUTS,
        facts={
            "iou_threshold": params.iou_threshold,
            "confidence_threshold": params.confidence_threshold,
            "per_class": params.per_class,
        },
    )
    save(net, description, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, **figures, "curve": history.rows, "unreadable": data.unreadable}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _watches(job: Any) -> bool:
    if job.params.patience and "validation" not in job.inputs:
        raise Problem("patience: it needs the input 'validation'")
    return "validation" in job.inputs


def _preprocessing(params: Any) -> Preprocessing:
    side = params.image_size
    if params.backbone == "efficientnet-lite0":
        how = preprocessing_of(params.backbone, side)
        return Preprocessing(side, side, how.colour, how.mean, how.std, params.resize, 1.0)
    colour, count = ("GRAY", 1) if params.grayscale else ("RGB", 3)
    return Preprocessing(
        side, side, colour, (127.5,) * count, (127.5,) * count, params.resize, 1.0, "bilinear"
    )


def _parts(
    job: Any, data: Examples, preprocessing: Preprocessing, labels: tuple[str, ...]
) -> tuple[Examples, Examples, str]:
    """What is learnt and what is asked."""
    if "test" in job.inputs:
        return data, read(job, "test", preprocessing, labels)[0], "the test input"
    groups = sorted(set(data.content))  # identical files stay on one side
    _, out = held_out(len(groups), job.params.holdout, job.params.seed)
    out_of = {groups[int(g)] for g in out}
    asked = [n for n, c in enumerate(data.content) if c in out_of]
    learn = [n for n, c in enumerate(data.content) if c not in out_of]
    if not any(len(data.classes[n]) for n in asked) or not any(len(data.classes[n]) for n in learn):
        raise Problem("too few pictures with objects to learn some and ask others")
    return data.some(learn), data.some(asked), f"{len(asked)} held out"


def _architecture(params: Any) -> tuple[str, dict[str, Any]]:
    sides = {"height": params.image_size, "width": params.image_size}
    common = {**sides, "levels": params.levels, "neck": params.neck}
    if params.backbone == "efficientnet-lite0":
        return "detector-lite0", common
    channels = 1 if params.grayscale else 3
    return "detector", {**common, "in_channels": channels, "channels": list(params.channels)}


def _network(architecture: str, arguments: dict[str, Any], classes: int, params: Any) -> Any:
    net = build(architecture, arguments, classes)
    if params.backbone == "efficientnet-lite0":
        load_backbone(net.backbone, params.backbone)
    return net


def _learn(
    net: Any,
    learn: Examples,
    watched: Examples | None,
    preprocessing: Preprocessing,
    params: Any,
    tell: Any,
) -> History:
    fill = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    frozen = params.backbone == "efficientnet-lite0"
    if frozen and not params.train_backbone:
        net.backbone.requires_grad_(False)

    def batch(data: Examples, places: list[int]) -> tuple[Any, list[Any], list[Any]]:
        pixels = batch_of(data.pixels[places], preprocessing)
        classes = [torch.from_numpy(data.classes[p]) for p in places]
        return pixels, classes, [torch.from_numpy(data.boxes[p]).float() for p in places]

    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if frozen:
            net.backbone.eval()  # few pictures would spoil the statistics of what is pretrained
        pixels, classes, boxes = moved(
            *batch(learn, chosen.tolist()), params.augment, generator, fill
        )
        return detection_loss(net, scaled(pixels, preprocessing), classes, boxes, params.box_weight)

    def watch() -> float:
        total = 0.0
        with torch.no_grad():
            for place in range(0, len(watched), params.batch_size):
                places = list(range(place, min(place + params.batch_size, len(watched))))
                pixels, classes, boxes = batch(watched, places)
                inputs = scaled(pixels, preprocessing)
                loss = detection_loss(net, inputs, classes, boxes, params.box_weight)
                total += float(loss) * len(places)
        return total / len(watched)

    return train(
        net,
        len(learn),
        loss_of,
        params,
        tell,
        rate=_RATES[params.backbone],
        watch=watch if watched is not None else None,
        parameters=[p for p in net.parameters() if p.requires_grad],
    )
