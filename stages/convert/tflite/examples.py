"""What a network is asked: representative samples, or one drawn example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..._shared.keras_model.net import Net
from ..._shared.parity.samples import Reader, find
from ..._shared.predictions.asking import described, layouts
from ..._shared.predictions.feeding import Wanted, feed
from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import from_json


def representative(
    job: Any, net: Net, shapes: Sequence[Sequence[int]]
) -> list[dict[str, np.ndarray]]:
    """Arrays by input of each sample.

    Raises:
        Problem: a sample cannot be read or does not fit.
    """
    about = described(net.description, net.form)
    how = from_json(about.preprocessing) if about.preprocessing else None
    known = layouts(net.description)
    wanted = [
        Wanted(slot.name, tuple(shape), slot.dtype, known.get(slot.name) or "NHWC")
        for slot, shape in zip(net.slots, shapes, strict=True)
    ]
    if len(wanted) == 1 and known:  # the description has its own name of the one input
        wanted = [replace(wanted[0], layout=next(iter(known.values())))]
    reader, found = Reader(skip=False), []
    for sample in find(job.inputs["samples"], job.params.limit):
        try:
            found.append(feed(reader.read(sample), wanted, how))
        except Problem as problem:
            hint = problem.hint
            if sample.is_picture and how is None:
                hint = "give samples as .npz files with an array for each input"
            raise Problem(f"sample {sample.name}: {problem}", hint=hint) from problem
    return found


def drawn(net: Net, shapes: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """One example, the same in every run."""
    random = np.random.default_rng(0)
    found = {}
    for slot, shape in zip(net.slots, shapes, strict=True):
        whole = not slot.dtype.startswith(("float", "bfloat"))
        values = random.integers(0, 2, shape) if whole else random.normal(size=shape)
        found[slot.name] = values.astype(slot.dtype)
    return found
