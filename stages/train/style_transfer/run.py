"""Train style transfer: read, learn, judge on photographs that were held out, paint, save."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..._shared.images.listing import pictures_below
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.model_file import Description, Output, save
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_setup.configure import configure
from ..._shared.vision_training.course import held_out
from ..._shared.vision_training.pixels import Read, batch_of, read_pictures, scaled
from .perception import Perception, content_distance, grams, roughness, style_distance

OUTPUTS = (Output("stylized", "image"),)
_TOLD_EACH = 20  # iterations
_PAINTED = 8  # examples
_GREY = (127.5, 127.5, 127.5)


@told
def run(job: Any) -> None:
    """The whole story."""
    params = job.params
    generator = configure(job, params.seed)
    side = params.image_size
    preprocessing = Preprocessing(side, side, "RGB", _GREY, _GREY, params.resize, 1.0, "bilinear")
    data = _read(job, "images", preprocessing)
    style_side = params.style_size or side
    seen = replace(preprocessing, height=style_side, width=style_side, resize="crop")
    style = _style(job, seen)
    learn, kept = held_out(len(data.pixels), params.holdout, params.seed)
    perception = Perception(side)
    with torch.no_grad():
        wanted = grams(perception(style))
    arguments = {"channels": list(params.channels), "blocks": params.blocks}
    net = build("style", arguments, 0)
    course = _learn(net, data.pixels[learn], perception, wanted, preprocessing, job, generator)
    figures = _judge(job, net, data, kept.tolist(), perception, wanted, preprocessing)
    counts = {"images": len(learn), "evaluated": len(kept), "unreadable": len(data.unreadable)}
    for name, value in counts.items():
        job.metric(name, value)
    job.plot("training", course, x="iteration", y="loss", title="Training by iteration")
    summary = {**counts, "seed": params.seed, **figures}
    described = Description(
        architecture="style",
        arguments=arguments,
        labels=(),
        preprocessing=preprocessing,
        training=summary,
        task="style-transfer",
        outputs=OUTPUTS,
    )
    save(net, described, job.outputs["model"])
    job.metric("size_mb", (job.outputs["model"] / "model.safetensors").stat().st_size / 1e6)
    report = {**summary, "course": course, "left_out": data.unreadable}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _read(job: Any, role: str, preprocessing: Preprocessing) -> Read:
    source = job.inputs[role]
    paths = pictures_below(source)
    named = [(path.relative_to(source).as_posix(), path) for path in paths]
    data = read_pictures(job, named, preprocessing, role)
    if len(data.pixels) < 2:
        raise Problem(f"{source.name} holds one picture: some are learnt, others judge")
    return data


def _style(job: Any, preprocessing: Preprocessing) -> torch.Tensor:
    source: Path = job.inputs["style"]
    paths = pictures_below(source) if source.is_dir() else [source]
    if len(paths) != 1:
        raise Problem(f"style: one picture is wanted, {source.name} holds {len(paths)}")
    strict = read_pictures(job, [(paths[0].name, paths[0])], preprocessing, "style")
    return batch_of(strict.pixels, preprocessing)


def _learn(
    net: nn.Module,
    pixels: np.ndarray,
    perception: Perception,
    wanted: list[torch.Tensor],
    preprocessing: Preprocessing,
    job: Any,
    generator: torch.Generator,
) -> list[dict[str, float]]:
    params = job.params
    optimizer = torch.optim.Adam(net.parameters(), lr=params.learning_rate)
    total, course = params.iterations, []
    net.train()
    for step in range(1, total + 1):
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / total))
        chosen = torch.randint(len(pixels), (params.batch_size,), generator=generator)
        batch = batch_of(pixels[chosen.numpy()], preprocessing)
        if params.flip:
            mirrored = torch.rand(len(batch), generator=generator) < 0.5
            batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
        painted = net(scaled(batch, preprocessing))
        features = perception(painted)
        with torch.no_grad():
            shown = perception(batch)
        style = style_distance(features, wanted).mean()
        content = content_distance(features, shown).mean()
        loss = params.style_weight * style + content + params.smoothness * roughness(painted)
        if not torch.isfinite(loss):
            raise Problem("training diverged: the loss is not a number", hint="lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        if step % _TOLD_EACH == 0 or step == total:
            row = {"iteration": step, "loss": float(loss.detach())}
            row.update(style=float(style.detach()), content=float(content.detach()))
            course.append(row)
            job.progress(step, total, f"style {row['style']:.3f}, content {row['content']:.3f}")
    net.eval()
    return course


def _judge(
    job: Any,
    net: nn.Module,
    data: Read,
    kept: list[int],
    perception: Perception,
    wanted: list[torch.Tensor],
    preprocessing: Preprocessing,
) -> dict[str, float]:
    """Distances on the photographs that were held out; the first of them are painted."""
    rows = []
    folder = job.outputs["examples"]
    folder.mkdir(parents=True, exist_ok=True)
    for number, place in enumerate(kept):
        batch = batch_of(data.pixels[[place]], preprocessing)
        with torch.no_grad():
            painted = net(scaled(batch, preprocessing))
            ours, shown = perception(painted), perception(batch)
            rows.append(
                (
                    float(style_distance(ours, wanted)),
                    float(style_distance(shown, wanted)),
                    float(content_distance(ours, shown)),
                )
            )
        if number < _PAINTED:
            pixels = painted[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / f"{number:02}.png")
    after, before, content = (float(np.mean(column)) for column in zip(*rows, strict=True))
    figures = {
        "style_distance": after,
        "style_distance_before": before,
        "style_gain": before / max(after, 1e-12),
        "content_distance": content,
    }
    for name, value in figures.items():
        job.metric(name, value)
    job.log(f"style {before:.3f} -> {after:.3f}, content {content:.3f}, {len(kept)} photographs")
    return figures
