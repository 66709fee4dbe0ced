"""Samples for the trial of a torch model: labelled pictures, or what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from ..._shared.images.decoding import UnreadableImage, open_picture
from ..._shared.images.listing import labelled
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import TorchModel
from .made import Cases, Made

_DRAWN = 24


def cases_of(job: Any, model: TorchModel, made: Made) -> Cases:
    """Samples with truths, and what torch says of them.

    Raises:
        Problem: samples do not fit the model, or a label is none of its own.
    """
    how, source = model.description.preprocessing, job.inputs.get("samples")
    if how is None:
        if source is not None:
            raise Problem(
                "samples: this model takes arrays, whose trial is made with drawn ones",
                hint="leave out samples",
            )
        return _arrays(model, made, job.params.seed)
    if source is None:
        pictures, truths = _drawn(how, made, job.params.seed)
    else:
        pictures, truths = _given(source, how, made, job.params.limit)
    batch = torch.stack([how.to_tensor(picture) for picture in pictures])
    name = job.params.input_name
    rows: list[Any] = pictures if job.params.image else [row[None].numpy() for row in batch]
    return Cases(
        [{name: row} for row in rows], truths, _asked(model, made, [batch]), source is not None
    )


def _asked(model: TorchModel, made: Made, batch: list[torch.Tensor]) -> Any:
    with torch.no_grad():
        out = [model.net(*(column[i : i + 1] for column in batch)) for i in range(len(batch[0]))]
    rows = torch.cat([o.reshape(1, -1) for o in out])
    if made.labels and model.description.output == "logits":
        rows = torch.softmax(rows, dim=1)
    return rows.numpy()


def _given(source: Any, how: Any, made: Made, limit: int) -> tuple[list[Any], list[Any]]:
    if not made.labels:
        raise Problem(
            "samples: pictures in folders are for a classifier, this model gives a number",
            hint="leave out samples: the trial is made with drawn pictures",
        )
    items = labelled(source)
    unknown = sorted({item.label for item in items} - set(made.labels))
    if unknown:
        raise Problem(
            f"samples: the model has no label '{unknown[0]}'",
            hint=f"it has {', '.join(map(str, made.labels[:20]))}",
        )
    places = np.linspace(0, len(items) - 1, min(limit, len(items))).round().astype(int)
    chosen = [items[place] for place in places]
    try:
        return [how.fit(open_picture(i.path)) for i in chosen], [i.label for i in chosen]
    except UnreadableImage as error:
        raise Problem(f"samples: a picture cannot be read: {error}") from error


def _drawn(how: Any, made: Made, seed: int) -> tuple[list[Any], list[Any]]:
    """Coarse patterns, enlarged: pictures that a network tells apart, where fine noise is grey."""
    random = np.random.default_rng(seed)
    shape = (4, 4) if how.colour == "GRAY" else (4, 4, 3)
    pictures = [
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).resize(
            (how.width, how.height), Image.Resampling.NEAREST
        )
        for _ in range(_DRAWN)
    ]
    return pictures, _truths(made, random)


def _arrays(model: TorchModel, made: Made, seed: int) -> Cases:
    random = np.random.default_rng(seed)
    columns = [
        random.standard_normal((_DRAWN, *i.shape)).astype("float32")
        if i.dtype == "float32"
        else random.integers(0, max(len(i.categories), 2), (_DRAWN, *i.shape)).astype("int32")
        for i in model.description.inputs
    ]
    names = [i.name for i in model.description.inputs]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    out = []
    with torch.no_grad():
        for row in rows:
            answer = model.net(*(torch.from_numpy(row[n]) for n in names)).reshape(1, -1)
            logits = made.labels and model.description.output == "logits"
            out.append(torch.softmax(answer, dim=1) if logits else answer)
    return Cases(rows, _truths(made, random), torch.cat(out).numpy(), given=False)


def _truths(made: Made, random: Any) -> list[Any]:
    if made.labels:
        return [made.labels[place % len(made.labels)] for place in range(_DRAWN)]
    return [[float(value)] for value in random.standard_normal(_DRAWN)]
