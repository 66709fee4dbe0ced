"""Annotated pictures as training needs them: fitted, their boxes in the network's pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing
from ..vision_training.pixels import read_pictures
from .annotations import Annotated, annotated
from .average_precision import Truth


@dataclass
class Examples:
    """Pictures and their boxes."""

    names: list[str]
    pixels: np.ndarray  # uint8 [N, H, W, C]
    classes: list[np.ndarray]  # of each picture, [G]
    boxes: list[np.ndarray]  # of each picture, [G, 4]: left, upper, right, lower in pixels
    content: list[str]
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def some(self, places: Any) -> Examples:
        """A part."""
        chosen = [int(p) for p in places]
        return Examples(
            [self.names[p] for p in chosen],
            self.pixels[chosen],
            [self.classes[p] for p in chosen],
            [self.boxes[p] for p in chosen],
            [self.content[p] for p in chosen],
        )

    def truth(self) -> list[Truth]:
        """Boxes as shares of the picture, x and y of the middle, width and height."""
        high, wide = self.pixels.shape[1:3]
        size = np.array([wide, high, wide, high], dtype=np.float64)
        found = []
        for classes, boxes in zip(self.classes, self.boxes, strict=True):
            low, top = boxes[:, :2], boxes[:, 2:]
            found.append(Truth(classes, np.concatenate([(low + top) / 2, top - low], 1) / size))
        return found


def read(
    job: Any,
    role: str,
    preprocessing: Preprocessing,
    labels: tuple[str, ...] | None,
    main: str = "images",
) -> tuple[Examples, tuple[str, ...]]:
    """All annotated pictures of an input, and the labels in order.

    Args:
        job: its parameters are labels, least_size and unreadable.
        role: which input.
        preprocessing: how a picture is brought to size; boxes follow.
        labels: those that are known; None to find them.
        main: the input to which the input ``annotations`` belongs.

    Raises:
        Problem: nothing is readable, or a label was never seen in training.
    """
    beside = job.inputs.get("annotations") if role == main else None
    items = annotated(job.inputs[role], beside)
    found = sorted({box.label for item in items for box in item.boxes})
    wanted = job.params.labels
    missing = sorted(set(wanted or ()) - set(found)) if labels is None else []
    if missing:
        raise Problem(f"labels: no box is called '{missing[0]}'", f"they are {', '.join(found)}")
    foreign = sorted(set(found) - set(labels)) if labels and not wanted else []
    if labels and foreign:
        known = ", ".join(labels)
        raise Problem(
            f"input '{role}' has label '{foreign[0]}', which was not learnt", f"known are {known}"
        )
    labels = labels or tuple(sorted(wanted or found))
    named = [(item.name, Path(item.path)) for item in items]
    pictures = read_pictures(job, named, preprocessing, role)
    examples = Examples([], pictures.pixels, [], [], pictures.content, pictures.unreadable)
    for place, size in zip(pictures.places, pictures.sizes, strict=True):
        classes, boxes = _boxes(items[place], size, labels, preprocessing, job.params.least_size)
        examples.names.append(items[place].name)
        examples.classes.append(classes)
        examples.boxes.append(boxes)
    if not sum(len(c) for c in examples.classes):
        raise Problem(f"input '{role}' has no box that can be used")
    return examples, labels


def _boxes(
    item: Annotated,
    size: tuple[int, int],
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    least: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Classes and boxes of a picture, moved as it was fitted and cut at its edges."""
    chosen = [box for box in item.boxes if box.label in labels]
    rows = np.array(
        [
            (b.x - b.width / 2, b.y - b.height / 2, b.x + b.width / 2, b.y + b.height / 2)
            for b in chosen
        ],
        dtype=np.float64,
    ).reshape(-1, 4)
    far = (rows[:, 0] >= size[0]) | (rows[:, 1] >= size[1]) | (rows[:, 2:] <= 0).any(axis=1)
    if far.any():
        box = rows[far][0].round(1).tolist()
        raise Problem(
            f"{item.name}: a box lies outside of the picture of {size[0]} by {size[1]}: {box}",
            hint="coordinates are pixels of the upright picture, x and y of the box's middle",
        )
    zoom, shift = _fitting(size, preprocessing)
    rows = rows * np.tile(zoom, 2) + np.tile(shift, 2)
    edge = np.array([preprocessing.width, preprocessing.height] * 2, dtype=np.float64)
    rows = rows.clip(0, edge)
    kept = ((rows[:, 2:] - rows[:, :2]) / edge[:2] > least).all(axis=1)
    classes = np.array([labels.index(box.label) for box in chosen], dtype=np.int64)
    return classes[kept], rows[kept]


def _fitting(size: tuple[int, int], how: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Factor and shift, x and y, from the file's pixels to the network's."""
    room = np.array([how.width, how.height], dtype=np.float64)
    if how.resize == "squash":
        return room / np.array(size), np.zeros(2)
    zoom = min(how.width / size[0], how.height / size[1])
    inner = np.array([max(1, round(side * zoom)) for side in size], dtype=np.float64)
    return inner / np.array(size), (room - inner) // 2
