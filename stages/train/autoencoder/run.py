"""Train an autoencoder: read, learn, find the threshold, judge, save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._shared.images.listing import TABLE_NAME, labelled, pictures_below
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Output, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.course import History, held_out, train
from ..._shared.vision_training.pixels import Read, batch_of, read_pictures, scaled
from .judge import curve, interval, psnr, roc_auc

OUTPUTS = (Output("restored", "image"), Output("score", "value"))
_RATE = 0.003
_AT_ONCE = 64
Item = tuple[str, str, Path]  # name, label ("" where there is none), file


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    configure(job, params.seed)
    channels, side = 1 if params.grayscale else 3, params.image_size
    colour = "GRAY" if params.grayscale else "RGB"
    grey = (127.5,) * channels
    preprocessing = Preprocessing(side, side, colour, grey, grey, params.resize, 1.0, "bilinear")
    items = _normal(_listed(job, "images"), params)
    data = read_pictures(job, [(n, p) for n, _, p in items], preprocessing, "images")
    learn, kept = _split(data, params)
    arguments = {
        "height": side,
        "width": side,
        "in_channels": channels,
        "channels": list(params.channels),
        "code": params.code,
    }
    net = build("autoencoder", arguments, 0)
    with torch.no_grad():  # (x * std + mean) / 255 of what the preprocessing made
        net.std.fill_(127.5 / 255)
        net.mean.fill_(127.5 / 255)
    history = _learn(net, data.pixels[learn], data.pixels[kept], preprocessing, params, job)
    figures = _judge(job, net, data.pixels[kept], preprocessing)
    normal = {label for _, label, _ in items}
    figures.update(_anomalies(job, net, normal, preprocessing, figures["threshold"]))
    counts = {
        "images": len(learn),
        "unreadable": len(data.unreadable),
        "epochs": history.best_epoch,
    }
    for name, value in counts.items():
        job.metric(name, value)
    job.plot("training", history.rows, x="epoch", y="loss", title="Training by epoch")
    summary = {**counts, "seed": params.seed, "held_out": len(kept), **figures}
    described = Description(
        architecture="autoencoder",
        arguments=arguments,
        labels=(),
        preprocessing=preprocessing,
        training=summary,
        task="autoencoder",
        outputs=OUTPUTS,
        facts={"threshold": figures["threshold"]},
    )
    save(net, described, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, "curve": history.rows, "left_out": data.unreadable}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _listed(job: Any, role: str) -> list[Item]:
    source = job.inputs[role]
    if source.is_dir() and not (source / TABLE_NAME).is_file():
        paths = pictures_below(source)
        if paths and all(path.parent == source for path in paths):
            return [(path.name, "", path) for path in paths]
    items = labelled(source, job.params.path_column, job.params.label_column)
    return [(item.name, item.label, item.path) for item in items]


def _normal(items: list[Item], params: Any) -> list[Item]:
    if params.normal is None:
        return items
    known = {label for _, label, _ in items}
    missing = sorted(set(params.normal) - known)
    if missing:
        told = ", ".join(sorted(known)) or "none"
        raise Problem(f"normal: no picture is called '{missing[0]}'", f"labels are {told}")
    return [item for item in items if item[1] in params.normal]


def _split(data: Read, params: Any) -> tuple[np.ndarray, np.ndarray]:
    """Places to learn and places to hold out; identical files stay on one side."""
    groups = sorted(set(data.content))
    _, out = held_out(len(groups), params.holdout, params.seed)
    away = {groups[int(g)] for g in out}
    kept = np.array([content in away for content in data.content])
    return np.flatnonzero(~kept), np.flatnonzero(kept)


def _learn(
    net: nn.Module,
    pixels: np.ndarray,
    watched: np.ndarray,
    preprocessing: Preprocessing,
    params: Any,
    job: Any,
) -> History:
    def loss_of(chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        clean = batch_of(pixels[chosen], preprocessing)
        noisy = _noisy(clean, params.noise, generator)
        back = net.decode(net.encode(scaled(noisy, preprocessing)))
        return ((back - clean / 255) ** 2).mean()

    def watch() -> float:
        restored, _ = _ask(net, batch_of(watched, preprocessing), preprocessing)
        return float(((restored - batch_of(watched, preprocessing).numpy()) ** 2).mean()) / 255**2

    return train(net, len(pixels), loss_of, params, job.progress, rate=_RATE, watch=watch)


def _noisy(clean: torch.Tensor, noise: float, generator: torch.Generator) -> torch.Tensor:
    if not noise:
        return clean
    return (clean + torch.randn(clean.shape, generator=generator) * noise * 255).clamp(0, 255)


def _ask(
    net: nn.Module, batch: torch.Tensor, preprocessing: Preprocessing
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures from 0 to 255 as they come back, and their scores."""
    net.eval()
    with torch.no_grad():
        found = [net(scaled(part, preprocessing)) for part in batch.split(_AT_ONCE)]
    return (
        torch.cat([f[0] for f in found]).numpy(),
        torch.cat([f[1] for f in found]).double().numpy(),
    )


def _judge(
    job: Any, net: nn.Module, kept: np.ndarray, preprocessing: Preprocessing
) -> dict[str, float]:
    """Figures on held-out normal pictures."""
    params = job.params
    clean = batch_of(kept, preprocessing)
    restored, scores = _ask(net, clean, preprocessing)
    figures = {
        "psnr_db": psnr(clean.numpy() / 255, restored / 255),
        "threshold": float(np.quantile(scores, params.quantile)),
    }
    if params.noise:
        noisy = _noisy(clean, params.noise, torch.Generator().manual_seed(params.seed + 1))
        cleaned, _ = _ask(net, noisy, preprocessing)
        figures["noisy_db"] = psnr(clean.numpy() / 255, noisy.numpy() / 255)
        figures["denoised_db"] = psnr(clean.numpy() / 255, cleaned / 255)
    for name, value in figures.items():
        job.metric(name, value)
    return figures


def _anomalies(
    job: Any,
    net: nn.Module,
    normal: set[str],
    preprocessing: Preprocessing,
    threshold: float,
) -> dict[str, Any]:
    """Figures on the labelled test."""
    if "test" not in job.inputs:
        return {}
    items = _listed(job, "test")
    data = read_pictures(job, [(n, p) for n, _, p in items], preprocessing, "test")
    labels = np.array([items[place][1] for place in data.places])
    _, scores = _ask(net, batch_of(data.pixels, preprocessing), preprocessing)
    usual = np.isin(labels, sorted(normal))
    if usual.all() or not usual.any():
        what = "no anomaly" if usual.all() else "no normal picture"
        raise Problem(
            f"input 'test' holds {what}: its labels are {', '.join(sorted(set(labels)))}",
            hint="name what is normal: normal: [...]",
        )
    one, other = scores[usual], scores[~usual]
    area = roc_auc(one, other)
    low, high = interval(area, len(one), len(other))
    figures = {"roc_auc": area, "roc_auc_low": low, "roc_auc_high": high}
    for name, value in figures.items():
        job.metric(name, value)
    job.metric("detected", float((other > threshold).mean()), n=len(other))
    job.metric("false_alarms", float((one > threshold).mean()), n=len(one))
    job.plot("roc", curve(one, other), x="false_alarms", y="detected", title="Anomalies detected")
    job.log(f"area under the curve {area:.3f} ({low:.3f} to {high:.3f})")
    by_label = {str(x): float(np.median(scores[labels == x])) for x in np.unique(labels)}
    return {**figures, "median_score": by_label}
