"""All drawings of an input, as grey squares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageOps

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import labelled, read_table
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing
from .strokes import SUFFIXES, entries, parse, render


@dataclass
class Drawings:
    """Readable drawings in order."""

    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    pixels: list[np.ndarray] = field(default_factory=list)  # uint8 [H, W, 1]
    content: list[str] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, label: str, pixels: np.ndarray) -> None:
        """Take one up."""
        self.names.append(name)
        self.labels.append(label)
        self.pixels.append(pixels[:, :, None])
        self.content.append(hashlib.sha256(pixels.tobytes()).hexdigest())


def read(job: Any, role: str, preprocessing: Preprocessing) -> Drawings:
    """Strokes or pictures, whatever stands there.

    Raises:
        Problem: nothing can be read, or something cannot and `unreadable` is "fail".
    """
    source, found = job.inputs[role], Drawings()
    files = _stroke_files(source, job.params)
    if files:
        total = _read_strokes(job, files, found)
    else:
        total = _read_pictures(job, role, preprocessing, found)
    bad = found.unreadable
    if bad and (job.params.unreadable == "fail" or len(bad) == total):
        raise Problem(
            f"{len(bad)} of {total} drawings cannot be read: {bad[0]['file']}: {bad[0]['reason']}",
            hint="repair or remove them, or set unreadable: skip",
        )
    if not found.names:
        raise Problem(f"{source.name} holds no drawings")
    return found


def _stroke_files(source: Path, params: Any) -> list[Path]:
    if source.is_dir():
        inside = sorted(p for p in source.iterdir() if p.suffix in SUFFIXES[:3])
        return [p for p in inside if not p.name.startswith(".")]
    if source.suffix not in SUFFIXES:
        return []
    if source.suffix == ".csv" and params.drawing_column not in read_table(source)[0]:
        return []  # a table of files
    return [source]


def _read_strokes(job: Any, files: list[Path], found: Drawings) -> int:
    params, total = job.params, 0
    for done, file in enumerate(files):
        job.progress(done, len(files), f"reading {file.name}")
        for where, label, drawing in entries(file, params.drawing_column, params.label_column):
            total += 1
            try:
                strokes = parse(drawing)
            except ValueError as error:
                found.unreadable.append({"file": where, "reason": str(error)})
                continue
            picture = render(
                strokes, params.image_size, params.stroke_width, params.margin, params.smooth
            )
            found.add(where, label, np.asarray(picture))
    return total


def _read_pictures(job: Any, role: str, preprocessing: Preprocessing, found: Drawings) -> int:
    params = job.params
    items = labelled(job.inputs[role], params.path_column, params.label_column)
    for done, item in enumerate(items):
        job.progress(done, len(items), f"reading {role}")
        try:
            image = open_picture(item.path).convert("L")
        except UnreadableImage as error:
            found.unreadable.append({"file": item.name, "reason": str(error)})
            continue
        image = ImageOps.invert(image) if params.dark else image
        found.add(item.name, item.label, np.asarray(preprocessing.fit(image)))
    return len(items)
