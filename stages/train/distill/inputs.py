"""What goes into distilling: models, and pictures with the teacher's labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._shared.images.listing import labelled
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import TorchModel, load
from ..._shared.vision_training import parts
from ..._shared.vision_training.pixels import read_pictures


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


def classifier(job: Any, role: str) -> TorchModel:
    """A model of an input.

    Raises:
        Problem: it is no image classifier that gives logits.
    """
    model = load(job.inputs[role])
    described = model.description
    if not described.is_classifier or described.preprocessing is None or described.inputs:
        raise Problem(f"input '{role}' is no image classifier but: {described.task}")
    if described.output != "logits":
        raise Problem(f"input '{role}' gives {described.output}: a softmax cannot be softened")
    return model


def read(job: Any, role: str, teacher: TorchModel) -> Part:
    """Labelled pictures, fitted as the teacher wants them.

    Raises:
        Problem: a label is not the teacher's.
    """
    params = job.params
    items = labelled(job.inputs[role], params.path_column, params.label_column)
    foreign = sorted({item.label for item in items} - set(teacher.labels))
    if foreign:
        raise Problem(f"input '{role}' has label '{foreign[0]}', which the teacher has not")
    named = [(item.name, item.path) for item in items]
    found = read_pictures(job, named, teacher.description.preprocessing, role)
    truth = np.array([teacher.labels.index(items[p].label) for p in found.places])
    return Part(found.pixels, truth, found.content, len(found.unreadable))


def split(job: Any, data: Part, teacher: TorchModel) -> tuple[Part, Part, str]:
    """What is learnt and what is asked."""
    if "test" in job.inputs:
        return data, read(job, "test", teacher), "the test input"
    if parts.smallest_class(data.truth, data.content) < 2:
        raise Problem(
            "a held-out part needs two different pictures of each class",
            hint="add pictures, or give the input 'test'",
        )
    learn, ask = parts.holdout(data.truth, data.content, job.params.holdout, job.params.seed)
    return data.some(learn), data.some(ask), f"{len(ask)} held out"
