"""Distill: read, ask the teacher, compress the student if wanted, learn, judge, save."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax, softmax

from ..._shared.images.listing import labelled
from ..._shared.metrics_classification.scores import plot_confusion, score
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.folding import fold
from ..._shared.torch_model.model_file import Description, TorchModel, load, save
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training import parts
from ..._shared.vision_training.augment import augment
from ..._shared.vision_training.course import History, train
from ..._shared.vision_training.pixels import batch_of, read_pictures, scaled
from .compression import Layer, attach, detach, follow

_RATES = {"scratch": 0.003, "trained": 0.0005}
_AT_ONCE = 64


@dataclass
class Part:
    """Fitted pictures, their classes, and digests of their files."""

    pixels: np.ndarray
    truth: np.ndarray
    content: list[str]
    unreadable: int = 0

    def some(self, places: np.ndarray) -> Part:
        """A part of it."""
        return Part(self.pixels[places], self.truth[places], [self.content[p] for p in places])


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    teacher = _classifier(job, "teacher")
    if params.patience and "validation" not in job.inputs:
        raise Problem("patience: it needs the input 'validation'")
    data = _read(job, "images", teacher)
    learn, asked, how = _parts(job, data, teacher)
    watched = _read(job, "validation", teacher) if "validation" in job.inputs else None
    net, architecture, arguments = _student(job, teacher)
    truly = _ask(teacher.net, asked, teacher)
    figures: dict[str, Any] = {}
    layers = _compressed(net, arguments, asked, teacher, truly, figures, params)
    history = _learn(net, layers, learn, watched, teacher, job)
    detach(layers)
    logits = _ask(net, asked, teacher)
    figures.update(_compare(logits, truly, asked.truth, ""))
    figures["teacher_accuracy"] = _share(truly.argmax(1) == asked.truth)
    _record(job, figures, logits, truly, asked, teacher)
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


def _classifier(job: Any, role: str) -> TorchModel:
    model = load(job.inputs[role])
    described = model.description
    if not described.is_classifier or described.preprocessing is None or described.inputs:
        raise Problem(f"input '{role}' is no image classifier but: {described.task}")
    if described.output != "logits":
        raise Problem(f"input '{role}' gives {described.output}: a softmax cannot be softened")
    return model


def _read(job: Any, role: str, teacher: TorchModel) -> Part:
    params = job.params
    items = labelled(job.inputs[role], params.path_column, params.label_column)
    foreign = sorted({item.label for item in items} - set(teacher.labels))
    if foreign:
        raise Problem(f"input '{role}' has label '{foreign[0]}', which the teacher has not")
    named = [(item.name, item.path) for item in items]
    read = read_pictures(job, named, teacher.description.preprocessing, role)
    truth = np.array([teacher.labels.index(items[p].label) for p in read.places])
    return Part(read.pixels, truth, read.content, len(read.unreadable))


def _parts(job: Any, data: Part, teacher: TorchModel) -> tuple[Part, Part, str]:
    """What is learnt and what is asked."""
    if "test" in job.inputs:
        return data, _read(job, "test", teacher), "the test input"
    if parts.smallest_class(data.truth, data.content) < 2:
        raise Problem(
            "a held-out part needs two different pictures of each class",
            hint="add pictures, or give the input 'test'",
        )
    learn, ask = parts.holdout(data.truth, data.content, job.params.holdout, job.params.seed)
    return data.some(learn), data.some(ask), f"{len(ask)} held out"


def _student(job: Any, teacher: TorchModel) -> tuple[nn.Module, str, dict[str, Any]]:
    """The network that learns, and how it is built again."""
    params = job.params
    preprocessing = teacher.description.preprocessing
    if "start" in job.inputs:
        start = _classifier(job, "start")
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
    whole = _ask(net, asked, teacher)
    figures["accuracy_whole"] = _share(whole.argmax(1) == asked.truth)
    fold(net)
    arguments["folded"] = True
    layers = attach(net, params)
    if not layers:
        raise Problem(
            f"compress: no weight has more than {params.least_elements} elements and is not kept",
            hint="lower least_elements",
        )
    figures.update(_compare(_ask(net, asked, teacher), truly, asked.truth, "_before"))
    return layers


def _learn(
    net: nn.Module,
    layers: list[Layer],
    learn: Part,
    watched: Part | None,
    teacher: TorchModel,
    job: Any,
) -> History:
    params, preprocessing = job.params, teacher.description.preprocessing
    fill = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    still = not any(params.augment.values())
    known = torch.from_numpy(_ask(teacher.net, learn, teacher)).float() if still else None
    steps = -(-len(learn.truth) // params.batch_size) * params.epochs
    taken = 0

    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        batch = batch_of(learn.pixels[chosen.numpy()], preprocessing)
        if not still:
            batch = augment(batch, params.augment, generator, fill)
        inputs = scaled(batch, preprocessing)
        if known is not None:
            theirs = known[chosen]
        else:
            with torch.no_grad():
                theirs = teacher.net(inputs)
        return _loss(net(inputs), theirs, torch.from_numpy(learn.truth[chosen.numpy()]), params)

    def watch() -> float:
        ours, theirs = _ask(net, watched, teacher), _ask(teacher.net, watched, teacher)
        pair = (torch.from_numpy(ours), torch.from_numpy(theirs))
        return float(_loss(*pair, torch.from_numpy(watched.truth), params))

    def after_step() -> None:
        nonlocal taken
        taken += 1
        follow(layers, params, taken / steps)

    trained = bool(layers) or "start" in job.inputs
    return train(
        net,
        len(learn.truth),
        loss_of,
        params,
        job.progress,
        rate=_RATES["trained" if trained else "scratch"],
        watch=watch if watched is not None and not layers else None,
        after_step=after_step if layers else None,
    )


def _loss(
    ours: torch.Tensor, theirs: torch.Tensor, truth: torch.Tensor, params: Any
) -> torch.Tensor:
    """Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network" (2015)."""
    t = params.temperature
    soft = kl_div(log_softmax(ours / t, 1), softmax(theirs / t, 1), reduction="batchmean") * t * t
    return params.teacher_weight * soft + (1 - params.teacher_weight) * cross_entropy(ours, truth)


def _ask(net: nn.Module, part: Part, teacher: TorchModel) -> np.ndarray:
    """Logits, float64 [N, K]."""
    net.eval()
    preprocessing = teacher.description.preprocessing
    with torch.no_grad():
        found = [
            net(scaled(batch_of(part.pixels[n : n + _AT_ONCE], preprocessing), preprocessing))
            for n in range(0, len(part.pixels), _AT_ONCE)
        ]
    return torch.cat(found).double().numpy()


def _share(hits: np.ndarray) -> tuple[float, int]:
    return float(hits.mean()), len(hits)


def _compare(
    ours: np.ndarray, theirs: np.ndarray, truth: np.ndarray, when: str
) -> dict[str, tuple[float, int]]:
    said = ours.argmax(axis=1)
    return {
        f"accuracy{when}": _share(said == truth),
        f"agreement{when}": _share(said == theirs.argmax(axis=1)),
    }


def _record(
    job: Any,
    figures: dict[str, Any],
    logits: np.ndarray,
    truly: np.ndarray,
    asked: Part,
    teacher: TorchModel,
) -> None:
    """Write figures as metrics; adds those that follow from the scores."""
    ours, theirs = torch.from_numpy(logits), torch.from_numpy(truly)
    probabilities = softmax(ours, 1).numpy()
    scores = score(probabilities, asked.truth, teacher.labels)
    divergence = kl_div(log_softmax(ours, 1), softmax(theirs, 1), reduction="batchmean")
    figures["kl"], figures["log_loss"] = max(0.0, float(divergence)), scores.log_loss
    if "accuracy_before" in figures:
        figures["regained"] = figures["accuracy"][0] - figures["accuracy_before"][0]
    for name, value in figures.items():
        if isinstance(value, tuple):
            job.metric(name, value[0], n=value[1])
        else:
            job.metric(name, value)
    plot_confusion(job, asked.truth, probabilities.argmax(axis=1), scores)
    before = f", before {figures['accuracy_before'][0]:.3f}" if "regained" in figures else ""
    job.log(
        f"accuracy {figures['accuracy'][0]:.3f}{before}, teacher "
        f"{figures['teacher_accuracy'][0]:.3f}, agreement {figures['agreement'][0]:.3f}"
    )


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
