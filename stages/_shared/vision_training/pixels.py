"""Pictures as arrays: read once, fitted, kept as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..images.decoding import UnreadableImage, open_picture
from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing

_TOLD = 10  # unreadable files named in a message


@dataclass
class Read:
    """What could be read, in the order in which it was given."""

    places: list[int]  # of the readable ones
    pixels: np.ndarray  # uint8 [N, H, W, C]
    sizes: list[tuple[int, int]]  # width and height of each file
    content: list[str]  # a digest of each file
    unreadable: list[dict[str, str]] = field(default_factory=list)


def read_pictures(
    job: Any, named: Sequence[tuple[str, Path]], preprocessing: Preprocessing, role: str
) -> Read:
    """Open and fit pictures; those that cannot be read are fatal or listed, as `unreadable` says.

    Raises:
        Problem: nothing is readable, or something is not and `unreadable` is "fail".
    """
    places, pixels, sizes, content, unreadable = [], [], [], [], []
    for place, (name, path) in enumerate(named):
        job.progress(place, len(named), f"reading {role}")
        try:
            image = open_picture(path)
        except UnreadableImage as error:
            unreadable.append({"file": name, "reason": str(error)})
            job.log(f"{name}: {error}")
            continue
        fitted = np.asarray(preprocessing.fit(image))
        places.append(place)
        pixels.append(fitted if fitted.ndim == 3 else fitted[:, :, None])
        sizes.append(image.size)
        content.append(hashlib.sha256(path.read_bytes()).hexdigest())
    _complain(unreadable, len(named), job.params.unreadable, job.inputs[role].name)
    return Read(places, np.stack(pixels), sizes, content, unreadable)


def batch_of(pixels: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    """Pixels from 0 to 255 in the network's order of colours: [N, H, W, C] -> [N, C, H, W]."""
    batch = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float()
    return batch.flip(1) if preprocessing.colour == "BGR" else batch


def scaled(batch: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Pixels as the network reads them."""
    mean = torch.tensor(preprocessing.mean).view(1, -1, 1, 1)
    std = torch.tensor(preprocessing.std).view(1, -1, 1, 1)
    return (batch - mean) / std


def _complain(unreadable: list[dict[str, str]], total: int, rule: str, source: str) -> None:
    if total == 0:
        raise Problem(f"{source} holds no pictures")
    if not unreadable:
        return
    named = "; ".join(f"{u['file']}: {u['reason']}" for u in unreadable[:_TOLD])
    more = f"; and {len(unreadable) - _TOLD} more" if len(unreadable) > _TOLD else ""
    if len(unreadable) == total:
        raise Problem(f"no picture of {source} can be read: {named}{more}")
    if rule == "fail":
        raise Problem(
            f"{len(unreadable)} of {total} files cannot be read: {named}{more}",
            hint="repair or remove them, or set unreadable: skip",
        )
