"""Compose scenes: a part of a background, objects on it, their boxes and masks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..._shared.detection.suppression import overlaps
from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import labelled, pictures_below
from ..._shared.problem.problem import Problem, told

_TRIES = 30  # to place an object before it is left out
_SEEN = 128  # of 255: a pixel that is mostly the object's
_MOST_CLASSES = 255  # that a mask of bytes can name


@dataclass
class Cutout:
    """An object: its colours, and how much of each pixel it covers."""

    colours: Image.Image
    cover: Image.Image
    label: int


@told
def run(job: Any) -> None:
    """Read everything, then compose scene after scene."""
    params = job.params
    random = np.random.default_rng(params.seed)
    objects, labels = _objects(job)
    backgrounds = _backgrounds(job)
    for name in ("scenes", "masks"):
        job.outputs[name].mkdir(parents=True)
    entries, boxes = [], dict.fromkeys(labels, 0)
    for number in range(params.count):
        scene, mask, placed = _compose(random, objects, backgrounds, params)
        name = f"{number:05}.png"
        scene.save(job.outputs["scenes"] / name, compress_level=1)
        Image.fromarray(mask).save(job.outputs["masks"] / name, compress_level=1)
        for label, _ in placed:
            boxes[labels[label]] += 1
        entries.append({"image": name, "annotations": [_annotation(p, labels) for p in placed]})
        job.progress(number + 1, params.count, "composing")
    text = json.dumps(entries, indent=0, ensure_ascii=False)
    (job.outputs["scenes"] / "annotations.json").write_text(text + "\n", encoding="utf-8")
    # What a mask's numbers mean: train/segmentation looks for this file beside the masks.
    names = json.dumps(["background", *labels], ensure_ascii=False)
    (job.outputs["masks"] / "classes.json").write_text(names + "\n", encoding="utf-8")
    report = json.dumps({"labels": labels, "boxes": boxes}, indent=2, ensure_ascii=False)
    job.outputs["report"].write_text(report + "\n", encoding="utf-8")
    job.metric("scenes", params.count)
    job.metric("boxes", sum(boxes.values()))
    job.metric("labels", len(labels))


def _objects(job: Any) -> tuple[list[Cutout], list[str]]:
    items = labelled(job.inputs["objects"])
    labels = sorted({item.label for item in items})
    wanted = job.params.labels or labels
    missing = sorted(set(wanted) - set(labels))
    if missing:
        raise Problem(
            f"labels: no object is called '{missing[0]}'", f"they are {', '.join(labels)}"
        )
    items = [item for item in items if item.label in wanted]
    labels = sorted(wanted)
    if len(labels) > _MOST_CLASSES:
        raise Problem(f"{len(labels)} classes, a mask can name {_MOST_CLASSES}")
    found = []
    for item in items:
        image = _opened(item.path, item.name)
        found.append(_cut(image, labels.index(item.label), item.name, job.params.cutout))
    return found, labels


def _opened(path: Path, name: str) -> Image.Image:
    try:
        return open_picture(path)
    except UnreadableImage as error:
        raise Problem(f"{name}: {error}") from error


def _cut(image: Image.Image, label: int, name: str, how: str) -> Cutout:
    grey = np.asarray(image.convert("L"), dtype=np.float64)
    if how == "none":
        return Cutout(image.convert("RGB"), Image.new("L", image.size, 255), label)
    low, high = grey.min(), grey.max()
    if high == low:
        raise Problem(f"{name} is of one brightness: nothing in it can be cut out")
    cover = (grey - low) / (high - low) if how == "bright" else (high - grey) / (high - low)
    seen = np.argwhere(cover > _SEEN / 255)
    (top, left), (end, right) = seen.min(axis=0), seen.max(axis=0) + 1
    box = (int(left), int(top), int(right), int(end))
    mask = Image.fromarray(np.rint(cover * 255).astype(np.uint8))
    return Cutout(image.convert("RGB").crop(box), mask.crop(box), label)


def _backgrounds(job: Any) -> list[Image.Image]:
    if "backgrounds" not in job.inputs:
        return []
    source = job.inputs["backgrounds"]
    paths = pictures_below(source) if source.is_dir() else [source]
    found = [_opened(path, path.name).convert("RGB") for path in paths]
    if not found:
        raise Problem(f"backgrounds: {source.name} holds no pictures")
    return found


def _compose(
    random: np.random.Generator,
    objects: list[Cutout],
    backgrounds: list[Image.Image],
    params: Any,
) -> tuple[Image.Image, np.ndarray, list[tuple[int, np.ndarray]]]:
    scene = _ground(random, backgrounds, params)
    mask = np.zeros((params.height, params.width), dtype=np.uint8)
    placed: list[tuple[int, np.ndarray]] = []
    for _ in range(int(random.integers(params.objects[0], params.objects[1] + 1))):
        cutout = objects[int(random.integers(len(objects)))]
        for _ in range(_TRIES):
            put = _place(random, cutout, params)
            if put is None:
                continue
            colours, cover, left, top, box = put
            others = np.array([b for _, b in placed]).reshape(-1, 4)
            if len(others) and overlaps(box[None], others).max() > params.overlap:
                continue
            scene.paste(colours, (left, top), cover)
            seen = np.asarray(cover) > _SEEN
            part = mask[top : top + seen.shape[0], left : left + seen.shape[1]]
            part[seen] = cutout.label + 1
            placed.append((cutout.label, box))
            break
    return scene, mask, placed


def _ground(
    random: np.random.Generator, backgrounds: list[Image.Image], params: Any
) -> Image.Image:
    size = (params.width, params.height)
    if not backgrounds:
        return Image.new("RGB", size, tuple(int(v) for v in random.integers(0, 256, 3)))
    photo = backgrounds[int(random.integers(len(backgrounds)))]
    largest = min(photo.width / params.width, photo.height / params.height)
    zoom = largest * random.uniform(0.4, 1.0)
    wide, high = params.width * zoom, params.height * zoom
    left, top = random.uniform(0, photo.width - wide), random.uniform(0, photo.height - high)
    box = (left, top, min(left + wide, photo.width), min(top + high, photo.height))
    return photo.resize(size, Image.Resampling.BILINEAR, box=box)


def _place(
    random: np.random.Generator, cutout: Cutout, params: Any
) -> tuple[Image.Image, Image.Image, int, int, np.ndarray] | None:
    """Colours, cover, left, top and box (middle and size); None where it does not fit."""
    high = max(2, round(params.height * random.uniform(*params.scale)))
    wide = max(2, round(cutout.cover.width * high / cutout.cover.height))
    cover = cutout.cover.resize((wide, high), Image.Resampling.BILINEAR)
    colours = cutout.colours.resize((wide, high), Image.Resampling.BILINEAR)
    if params.tint:
        colours = Image.new("RGB", (wide, high), tuple(int(v) for v in random.integers(0, 256, 3)))
    if params.rotate:
        angle = random.uniform(-params.rotate, params.rotate)
        cover = cover.rotate(angle, Image.Resampling.BILINEAR, expand=True)
        colours = colours.rotate(angle, Image.Resampling.BILINEAR, expand=True)
        if params.tint:
            colours.paste(colours.getpixel((colours.width // 2, colours.height // 2)), None)
    if cover.width > params.width or cover.height > params.height:
        return None
    left = int(random.integers(params.width - cover.width + 1))
    top = int(random.integers(params.height - cover.height + 1))
    seen = np.argwhere(np.asarray(cover) > _SEEN)
    if not len(seen):
        return None
    (y0, x0), (y1, x1) = seen.min(axis=0), seen.max(axis=0) + 1
    box = np.array([left + (x0 + x1) / 2, top + (y0 + y1) / 2, x1 - x0, y1 - y0], dtype=float)
    return colours, cover, left, top, box


def _annotation(placed: tuple[int, np.ndarray], labels: list[str]) -> dict[str, Any]:
    label, box = placed
    names = ("x", "y", "width", "height")
    return {
        "label": labels[label],
        "coordinates": dict(zip(names, (float(v) for v in box), strict=True)),
    }
