"""Pictures with their masks: found by name, read, brought to the network's size."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import pictures_below
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing

IGNORED = 255  # inside here, whatever number the masks use
_NAMES = "classes.json"
_GREY = ("1", "L", "P")


@dataclass
class Examples:
    """Fitted pictures and masks."""

    pixels: np.ndarray  # uint8 [N, H, W, C]
    masks: np.ndarray  # uint8 [N, H, W]
    content: list[str] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def some(self, places: Any) -> Examples:
        """A part."""
        chosen = [int(p) for p in places]
        return Examples(self.pixels[chosen], self.masks[chosen], [self.content[p] for p in chosen])


def names_of(masks: Path, params: Any) -> tuple[str, ...] | None:
    """The labels, where anything tells them."""
    if params.colours:
        return tuple(params.colours)
    if params.labels:
        return tuple(params.labels)
    file = masks / _NAMES
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{_NAMES} cannot be read: {error}") from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Problem(f"{_NAMES}: a list of labels is expected")
    return tuple(found)


def read(
    job: Any,
    roles: tuple[str, str],
    preprocessing: Preprocessing,
    labels: tuple[str, ...] | None,
) -> tuple[Examples, tuple[str, ...]]:
    """All pictures that have a mask, and the labels.

    Raises:
        Problem: there are none, one has no mask, or a mask holds a number without a label.
    """
    pairs = _pairs(*(job.inputs[role] for role in roles))
    pixels, masks, content, unreadable = [], [], [], []
    for done, (name, picture, mask) in enumerate(pairs):
        job.progress(done, len(pairs), f"reading {roles[0]}")
        try:
            image, numbers = open_picture(picture), _numbers(mask, job.params)
        except UnreadableImage as error:
            unreadable.append({"file": name, "reason": str(error)})
            job.log(f"{name}: {error}")
            continue
        if numbers.shape != (image.height, image.width):
            raise Problem(
                f"{name}: the picture is {image.width} by {image.height}, "
                f"its mask {numbers.shape[1]} by {numbers.shape[0]}"
            )
        fitted = np.asarray(preprocessing.fit(image))
        pixels.append(fitted if fitted.ndim == 3 else fitted[:, :, None])
        masks.append(numbers)
        content.append(hashlib.sha256(picture.read_bytes()).hexdigest())
    if unreadable and (job.params.unreadable == "fail" or len(unreadable) == len(pairs)):
        first = f"{unreadable[0]['file']}: {unreadable[0]['reason']}"
        raise Problem(f"{len(unreadable)} of {len(pairs)} pairs cannot be read: {first}")
    values = set().union(*(np.unique(numbers).tolist() for numbers in masks))
    if values == {0, IGNORED} and job.params.ignore in (None, IGNORED):
        masks = [(numbers > 0).astype(np.uint8) for numbers in masks]  # of one object, as drawn
    fitted_masks = np.stack([_fitted(numbers, preprocessing) for numbers in masks])
    found = Examples(np.stack(pixels), fitted_masks, content, unreadable)
    return found, _labels(found.masks, labels)


def _pairs(images: Path, masks: Path) -> list[tuple[str, Path, Path]]:
    def stems(folder: Path) -> dict[str, Path]:
        return {p.relative_to(folder).with_suffix("").as_posix(): p for p in pictures_below(folder)}

    pictures, answers = stems(images), stems(masks)
    if not pictures:
        raise Problem(f"{images.name} holds no pictures")
    lacking = sorted(set(pictures) - set(answers))
    if lacking:
        raise Problem(
            f"{len(lacking)} of {len(pictures)} pictures have no mask: {lacking[0]}",
            hint="a mask has its picture's name, in the folder of masks",
        )
    return [(name, pictures[name], answers[name]) for name in sorted(pictures)]


def _numbers(path: Path, params: Any) -> np.ndarray:
    """A mask as numbers of classes, uint8 [H, W]."""
    try:
        with Image.open(path) as file:
            file.load()
            image = file.copy()
    except Exception as error:  # each of Pillow's decoders has its own
        raise UnreadableImage(f"its mask: {error}") from error
    if params.colours:
        return _of_colours(np.asarray(image.convert("RGB")), path.name, params)
    if image.mode not in _GREY:
        raise Problem(
            f"mask {path.name} is in colour ({image.mode})",
            hint="name the colours: colours: {sky: [0, 0, 255], ...}",
        )
    numbers = np.array(image if image.mode != "1" else image.convert("L"), dtype=np.uint8)
    if params.ignore is not None and params.ignore != IGNORED:
        numbers[numbers == params.ignore] = IGNORED
    return numbers


def _of_colours(pixels: np.ndarray, name: str, params: Any) -> np.ndarray:
    numbers = np.full(pixels.shape[:2], IGNORED, dtype=np.uint8)
    for place, colour in enumerate(params.colours.values()):
        numbers[(pixels == np.array(colour)).all(axis=2)] = place
    unknown = pixels[numbers == IGNORED]
    if len(unknown) and params.ignore is None:
        raise Problem(f"mask {name} holds the colour {unknown[0].tolist()}, which has no label")
    return numbers


def _fitted(numbers: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    how = replace(
        preprocessing, colour="GRAY", mean=(float(IGNORED),), std=(1.0,), interpolation="nearest"
    )
    return np.asarray(how.fit(Image.fromarray(numbers)))


def _labels(masks: np.ndarray, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    seen = [int(n) for n in np.unique(masks) if n != IGNORED]
    if not seen:
        raise Problem("no mask names any pixel: all numbers are the one to ignore")
    if labels is None:
        labels = ("background", *(f"class {n}" for n in range(1, max(2, seen[-1] + 1))))
    if seen[-1] >= len(labels):
        raise Problem(
            f"a mask holds the number {seen[-1]}, but there are {len(labels)} labels",
            hint="name all of them with labels: [...], or set ignore to that number",
        )
    return labels
