"""One loop over samples for all kinds that ask models: reads, tells progress, names failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, TypeVar  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..problem.problem import Problem
from .samples import Reader, Sample

Answer = TypeVar("Answer")


def ask(
    job: Any,
    samples: Sequence[Sample],
    reader: Reader,
    answer: Callable[[Sample, Any], Answer],
) -> list[Answer]:
    """What ``answer`` says to every sample that can be read, in their order.

    Args:
        job: hears how far it is.
        samples: what is asked.
        reader: reads them, and lists those that cannot be read.
        answer: from a sample and its content to anything.

    Raises:
        Problem: of ``answer``, with the sample's name; or no sample can be read.
    """
    found = []
    for done, sample in enumerate(samples, 1):
        content = reader.read(sample)
        job.progress(done, len(samples), sample.name)
        if content is None:
            continue
        try:
            found.append(answer(sample, content))
        except Problem as problem:
            raise Problem(f"sample {sample.name}: {problem}", problem.hint) from problem
    reader.report(job, len(samples))
    return found


def answer_of(side: Any, sample: str, content: Any, classes: bool) -> dict[str, np.ndarray]:
    """One side's outputs for a sample: a picture, arrays, or the cells of a row.

    Args:
        side: a ``Side``, ``PredictedSide`` or ``RowSide``.
        sample: its name, by which answers that were recorded are found.
        content: as ``Reader`` gives it.
        classes: whether the scores of a classifier are wanted, as ``logits``.
    """
    if hasattr(side, "at"):  # answers that were recorded
        return side.at(sample, classes)
    if hasattr(side, "ask"):  # rows
        return side.ask(content)
    if isinstance(content, dict):
        return side.outputs(content)
    return {"logits": side.logits(content)} if classes else side.pictured(content)
