"""Features of all pictures of an input, computed as they are read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import TABLE_NAME, labelled, pictures_below
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing

_BATCH = 4
_CLOSER = 0.75  # side of the closer view


@dataclass
class Pictures:
    """The readable pictures of an input."""

    names: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # float32 [N, F]
    closer: np.ndarray | None = None  # of the closer view, for pictures without labels
    unreadable: list[dict[str, str]] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether labels are known."""
        return bool(self.labels) and self.labels[0] is not None


def read(job: Any, role: str, base: nn.Module, preprocessing: Preprocessing) -> Pictures:
    """All pictures of an input.

    Raises:
        Problem: none can be read, or one cannot and `unreadable` is "fail".
    """
    listed = _listed(job.inputs[role], job.params)
    found = Pictures()
    views = [preprocessing]
    if listed and listed[0][1] is None:
        views.append(replace(preprocessing, resize="crop", crop=preprocessing.crop * _CLOSER))
    waiting: list[list[torch.Tensor]] = [[] for _ in views]
    rows: list[list[torch.Tensor]] = [[] for _ in views]
    for done, (name, label, path) in enumerate(listed):
        job.progress(done, len(listed), f"reading {role}")
        try:
            image = open_picture(path)
        except UnreadableImage as error:
            found.unreadable.append({"file": name, "reason": str(error)})
            job.log(f"{name}: {error}")
            continue
        found.names.append(name)
        found.labels.append(label)
        found.content.append(hashlib.sha256(path.read_bytes()).hexdigest())
        for view, queue in zip(views, waiting, strict=True):
            queue.append(view.preprocess(image))
        if len(waiting[0]) == _BATCH:
            _flush(base, waiting, rows)
    _flush(base, waiting, rows)
    _complain(found, len(listed), job)
    found.features = torch.cat(rows[0]).numpy()
    found.closer = torch.cat(rows[1]).numpy() if len(views) > 1 else None
    return found


def _flush(
    base: nn.Module, waiting: list[list[torch.Tensor]], rows: list[list[torch.Tensor]]
) -> None:
    for queue, kept in zip(waiting, rows, strict=True):
        if queue:
            with torch.no_grad():
                kept.append(base.features(torch.stack(queue)))
            queue.clear()


def _listed(source: Path, params: Any) -> list[tuple[str, str | None, Path]]:
    flat = source.is_dir() and not (source / TABLE_NAME).is_file()
    if flat:
        paths = pictures_below(source)
        if paths and all(path.parent == source for path in paths):
            return [(path.name, None, path) for path in paths]
    items = labelled(source, params.path_column, params.label_column)
    return [(item.name, item.label, item.path) for item in items]


def _complain(found: Pictures, total: int, job: Any) -> None:
    bad = found.unreadable
    if bad and (job.params.unreadable == "fail" or len(bad) == total):
        first = f"{bad[0]['file']}: {bad[0]['reason']}"
        raise Problem(
            f"{len(bad)} of {total} files cannot be read: {first}",
            hint="repair or remove them, or set unreadable: skip",
        )
