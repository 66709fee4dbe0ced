"""Samples for a comparison: from files, or at random as a model's description allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..description import Feature
from ..errors import InputError
from ..mil.body import ProgramBody
from ..mil.program import Reference
from ..model import Model
from ..sample_files import read_sample, sample_files
from .recording import Sample

_WORDS = 100  # tokens drawn where no table of the model says how many there are


def random_samples(model: Model, count: int, seed: int = 0) -> list[Sample]:
    """Samples of every input's shape.

    Real arrays are normally distributed, integers lie within the smallest table that the model
    looks them up in, pictures are coloured noise of two sizes.
    """
    rng = np.random.default_rng(seed)
    tokens = _table_size(model)
    features = model.description.inputs
    return [{f.name: _drawn(f, rng, tokens) for f in features} for _ in range(count)]


def read_samples(model: Model, path: str | Path, limit: int | None = None) -> list[Sample]:
    """Samples from a picture, an ``.npz`` file, or a folder of such.

    Args:
        model: Whose inputs they are for.
        path: An ``.npz`` holds an array for each input, or is a table of samples if they all
            have one dimension more than the inputs.
        limit: At most so many.
    """
    found: list[Sample] = []
    for file in sample_files(Path(path)):
        found += _split(model.description.inputs, read_sample(model.description, file))
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


def _split(features: Sequence[Feature], arrays: dict[str, Any]) -> list[Sample]:
    ranks = {f.name: len(f.array.shape) for f in features if f.array is not None}
    stacked = [n for n, a in arrays.items() if n in ranks and a.ndim == ranks[n] + 1]
    if not stacked or len(stacked) != len(arrays):
        return [arrays]
    count = min(len(arrays[name]) for name in stacked)
    return [{name: arrays[name][i] for name in stacked} for i in range(count)]


def _drawn(feature: Feature, rng: np.random.Generator, tokens: int) -> Any:
    if feature.image is not None:
        return _picture(feature.image.width, feature.image.height, feature.image.channels, rng)
    if feature.array is not None:
        shape = feature.array.shape
        if feature.array.dtype.startswith("int"):
            return rng.integers(0, tokens, shape).astype(feature.array.dtype)
        return rng.standard_normal(shape).astype(np.float32)
    if feature.kind == "int64":
        return int(rng.integers(0, tokens))
    if feature.kind == "double":
        return float(rng.standard_normal())
    raise InputError(
        "no value of this kind can be made up",
        place=f"input '{feature.name}'",
        got=feature.kind,
        hint="give samples of your own",
    )


def _picture(width: int, height: int, channels: int, rng: np.random.Generator) -> Any:
    """Large and small forms and colours: uint8 [height, width, channels]."""
    coarse = rng.uniform(0, 255, (-(-height // 8), -(-width // 8), channels))
    large = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
    mixed = large + rng.uniform(-60, 60, (height, width, channels))
    picture = np.clip(mixed, 0, 255).astype(np.uint8)
    return picture[:, :, 0] if channels == 1 else picture


def _table_size(model: Model) -> int:
    """The rows of the smallest table that a program looks integers up in."""
    if not isinstance(model.body, ProgramBody):
        return _WORDS
    rows = [_WORDS]
    types = {
        made.name: made.type
        for operation in model.body.function.body.operations
        if operation.type == "const" or operation.type.startswith("constexpr_")
        for made in operation.outputs
    }
    for operation in model.body.function.body.operations:
        for binding in operation.inputs.get("x", ()) if operation.type == "gather" else ():
            table = types.get(binding.name) if isinstance(binding, Reference) else None
            if table is not None and table.shape and table.shape[0]:
                rows.append(table.shape[0])
    return min(rows)
