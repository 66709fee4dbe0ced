"""Distill: read, ask the teacher, compress the student if wanted, learn, judge, save."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.folding import fold
from ..._shared.torch_model.model_file import Description, TorchModel, save
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.course import History
from .compression import Layer, attach, detach
from .figures import ask, compare, record, share
from .inputs import Part, classifier, read, split
from .learn import learn_from


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    teacher = classifier(job, "teacher")
    if params.patience and "validation" not in job.inputs:
        raise Problem("patience: it needs the input 'validation'")
    data = read(job, "images", teacher)
    learn, asked, how = split(job, data, teacher)
    watched = read(job, "validation", teacher) if "validation" in job.inputs else None
    net, architecture, arguments = _student(job, teacher)
    truly = ask(teacher.net, asked, teacher)
    figures: dict[str, Any] = {}
    layers = _compressed(net, arguments, asked, teacher, truly, figures, params)
    history = learn_from(net, layers, learn, watched, teacher, job)
    detach(layers)
    logits = ask(net, asked, teacher)
    figures.update(compare(logits, truly, asked.truth, ""))
    figures["teacher_accuracy"] = share(truly.argmax(1) == asked.truth)
    record(job, figures, logits, truly, asked, teacher)
    counts = _counts(net, teacher.net, layers, learn, data, history)
    for name, value in counts.items():
        job.metric(name, value)
    job.plot("training", history.rows, x="epoch", y="loss", title="Training by epoch")
    told_figures = {k: v[0] if isinstance(v, tuple) else v for k, v in figures.items()}
    summary = {
        **counts,
        **told_figures,
        "seed": params.seed,
        "compress": params.compress,
        "evaluated_on": how,
        "evaluated_images": len(asked.truth),
    }
    described = Description(
        architecture, arguments, teacher.labels, teacher.description.preprocessing, training=summary
    )
    save(net, described, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, "curve": history.rows, "layers": [_told(layer) for layer in layers]}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _student(job: Any, teacher: TorchModel) -> tuple[nn.Module, str, dict[str, Any]]:
    """The network that learns, and how it is built again."""
    params = job.params
    preprocessing = teacher.description.preprocessing
    if "start" in job.inputs:
        start = classifier(job, "start")
        if start.labels != teacher.labels:
            raise Problem("start: its labels are not the teacher's, in the teacher's order")
        if start.description.preprocessing != preprocessing:
            raise Problem("start: it prepares pictures otherwise than the teacher")
        return start.net, start.description.architecture, dict(start.description.arguments)
    if params.student == "same":
        own = teacher.description
        return copy.deepcopy(teacher.net), own.architecture, dict(own.arguments)
    if params.compress != "none":
        raise Problem(
            "compress: an untrained network has nothing to regain",
            hint="give a trained one: the input 'start', or student: same",
        )
    arguments = {
        "in_channels": preprocessing.channels,
        "channels": list(params.channels),
        "dropout": params.dropout,
    }
    return build("small-cnn", arguments, len(teacher.labels)), "small-cnn", arguments


def _compressed(
    net: nn.Module,
    arguments: dict[str, Any],
    asked: Part,
    teacher: TorchModel,
    truly: np.ndarray,
    figures: dict[str, Any],
    params: Any,
) -> list[Layer]:
    """Compress the student, and measure what that costs before it learns again."""
    if params.compress == "none":
        return []
    whole = ask(net, asked, teacher)
    figures["accuracy_whole"] = share(whole.argmax(1) == asked.truth)
    fold(net)
    arguments["folded"] = True
    layers = attach(net, params)
    if not layers:
        raise Problem(
            f"compress: no weight has more than {params.least_elements} elements and is not kept",
            hint="lower least_elements",
        )
    figures.update(compare(ask(net, asked, teacher), truly, asked.truth, "_before"))
    return layers


def _counts(
    net: nn.Module,
    teacher: nn.Module,
    layers: list[Layer],
    learn: Part,
    data: Part,
    history: History,
) -> dict[str, Any]:
    own = sum(p.numel() for p in net.parameters())
    found = {
        "parameters": own,
        "teacher_parameters": sum(p.numel() for p in teacher.parameters()),
        "images": len(learn.truth),
        "unreadable": data.unreadable,
        "epochs": history.best_epoch,
    }
    if layers:
        found["compressed"] = sum(layer.module.weight.numel() for layer in layers) / own
    return found


def _told(layer: Layer) -> dict[str, Any]:
    weight = layer.module.weight.detach()
    return {
        "name": f"{layer.name}.weight",
        "shape": list(weight.shape),
        "values": len(torch.unique(weight)),
        "zeros": float((weight == 0).double().mean()),
    }
