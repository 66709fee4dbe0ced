"""Train a drawing classifier: read, learn, judge, save."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, softmax

from ..._shared.metrics_classification.scores import plot_confusion, record, score
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, load, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training import parts
from ..._shared.vision_training.augment import augment
from ..._shared.vision_training.course import History, train
from ..._shared.vision_training.pixels import batch_of, scaled
from .drawings import Drawings, read

_RATE = 0.003
_AT_ONCE = 256
_STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "erase": 0.0}


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    if params.patience and "validation" not in job.inputs:
        raise Problem("patience: it needs the input 'validation'")
    side = params.image_size
    preprocessing = Preprocessing(side, side, "GRAY", (0.0,), (255.0,), "pad", 1.0, "bilinear")
    data = read(job, "drawings", preprocessing)
    labels = tuple(sorted(set(data.labels)))
    if len(labels) < 2:
        raise Problem(f"there is one class only: '{labels[0]}'")
    learn, asked, how = _parts(job, data, labels, preprocessing)
    watched = _others(job, "validation", labels, preprocessing)
    net, arguments = _network(job, labels)
    history = _learn(net, learn, watched, preprocessing, params, job.progress)
    logits = _ask(net, asked[0], preprocessing)
    probabilities = softmax(torch.from_numpy(logits), dim=1).numpy()
    scores = score(probabilities, asked[1], labels)
    record(job, scores)
    plot_confusion(job, asked[1], probabilities.argmax(axis=1), scores)
    job.plot("training", history.rows, x="epoch", y="loss", title="Training by epoch")
    counts = {"drawings": len(data.names), "labels": len(labels), "epochs": history.best_epoch}
    for name, value in {**counts, "unreadable": len(data.unreadable)}.items():
        job.metric(name, value)
    job.log(f"accuracy {scores.accuracy:.3f} of {scores.n} drawings ({how})")
    summary = {
        **counts,
        "seed": params.seed,
        "evaluated_on": how,
        "evaluated_drawings": scores.n,
        "accuracy": scores.accuracy,
        "log_loss": scores.log_loss,
    }
    described = Description("small-cnn", arguments, labels, preprocessing, training=summary)
    save(net, described, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {
        **summary,
        "per_class": scores.per_class(),
        "confusion": scores.confusion.tolist(),
        "unreadable": data.unreadable,
        "curve": history.rows,
    }
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


Part = tuple[np.ndarray, np.ndarray]  # pixels, truth


def _parts(
    job: Any, data: Drawings, labels: tuple[str, ...], preprocessing: Preprocessing
) -> tuple[Part, Part, str]:
    """What is learnt, what is asked, and where that comes from."""
    pixels = np.stack(data.pixels)
    truth = np.array([labels.index(label) for label in data.labels])
    test = _others(job, "test", labels, preprocessing)
    if test is not None:
        return (pixels, truth), test, "the test input"
    if parts.smallest_class(truth, data.content) < 2:
        small = min(labels, key=lambda label: (data.labels.count(label), label))
        raise Problem(
            f"a held-out part needs two different drawings of each class: '{small}' has one",
            hint="add drawings, or give the input 'test'",
        )
    learn, ask = parts.holdout(truth, data.content, job.params.holdout, job.params.seed)
    return (pixels[learn], truth[learn]), (pixels[ask], truth[ask]), f"{len(ask)} held out"


def _others(
    job: Any, role: str, labels: tuple[str, ...], preprocessing: Preprocessing
) -> Part | None:
    if role not in job.inputs:
        return None
    data = read(job, role, preprocessing)
    foreign = sorted(set(data.labels) - set(labels))
    if foreign:
        raise Problem(f"input '{role}' has label '{foreign[0]}', which 'drawings' has not")
    return np.stack(data.pixels), np.array([labels.index(label) for label in data.labels])


def _network(job: Any, labels: tuple[str, ...]) -> tuple[nn.Module, dict[str, Any]]:
    params = job.params
    arguments = {
        "in_channels": 1,
        "channels": list(params.channels),
        "dropout": params.dropout,
    }
    net = build("small-cnn", arguments, len(labels))
    if "start" in job.inputs:
        earlier = load(job.inputs["start"])
        theirs = earlier.net.state_dict()
        known = earlier.labels == labels
        kept = {k: v for k, v in theirs.items() if known or not k.startswith("head.")}
        mine = net.state_dict()
        for name, value in kept.items():
            if name not in mine or mine[name].shape != value.shape:
                raise Problem(
                    f"start: its weight {name} does not fit channels {list(params.channels)}",
                    hint="give the channels of the model to go on from",
                )
        net.load_state_dict({**mine, **kept})
    return net, arguments


def _learn(
    net: nn.Module,
    learn: Part,
    watched: Part | None,
    preprocessing: Preprocessing,
    params: Any,
    tell: Any,
) -> History:
    pixels, truth = learn
    fill = torch.zeros(1, 1, 1, 1)
    options = {**params.augment, **_STILL}

    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        batch = augment(batch_of(pixels[chosen], preprocessing), options, generator, fill)
        wanted = torch.from_numpy(truth[chosen])
        out = net(scaled(batch, preprocessing))
        return cross_entropy(out, wanted, label_smoothing=params.label_smoothing)

    def watch() -> float:
        logits = torch.from_numpy(_ask(net, watched[0], preprocessing))
        return float(cross_entropy(logits, torch.from_numpy(watched[1])))

    looking = watch if watched is not None else None
    return train(net, len(truth), loss_of, params, tell, rate=_RATE, watch=looking)


def _ask(net: nn.Module, pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    net.eval()
    with torch.no_grad():
        batches = [
            net(scaled(batch_of(pixels[n : n + _AT_ONCE], preprocessing), preprocessing))
            for n in range(0, len(pixels), _AT_ONCE)
        ]
    return torch.cat(batches).double().numpy()
