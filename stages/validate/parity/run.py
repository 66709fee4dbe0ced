"""Numerical comparison of two models."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._shared.coreml_package.canonical import size_of
from ..._shared.parity.samples import Reader, Sample, find
from ..._shared.parity.sides import CoreMLSide, match, open_side
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .compare import Classes, Outputs, Row
from .write import write


@told
def run(job: Any) -> None:
    """Ask both models, compare, report."""
    configure(job)
    params = job.params
    samples = find(job.inputs["samples"], params.limit)
    reference = open_side(job.inputs["reference"], "float32", params.scaling)
    candidate = CoreMLSide(job.inputs["candidate"], params.precision, params.scaling)
    order = match(reference, candidate)
    reader = Reader(skip=params.unreadable == "skip")
    rows = _ask(job, samples, reader, reference, candidate, classes=order is not None)
    reader.report(job, len(samples))
    if order is None:
        result: Classes | Outputs = Outputs(rows)
    else:
        result = Classes(rows, reference.labels, order, min(params.topk, len(order)))
    metrics = {**result.metrics(), "size_mb": size_of(job.inputs["candidate"]) / 1e6}
    for name, value in metrics.items():
        if isinstance(value, dict):
            job.metric(name, value["value"], n=value["n"])
        else:
            job.metric(name, value)
    write(job, result, metrics, reader.unreadable)


def _ask(
    job: Any,
    samples: list[Sample],
    reader: Reader,
    reference: Any,
    candidate: Any,
    *,
    classes: bool,
) -> list[Row]:
    rows = []
    for done, sample in enumerate(samples, 1):
        content = reader.read(sample)
        job.progress(done, len(samples), sample.name)
        if content is None:
            continue
        try:
            both = [_answer(side, content, classes) for side in (reference, candidate)]
        except Problem as problem:
            raise Problem(f"sample {sample.name}: {problem}", problem.hint) from problem
        rows.append(Row(sample, *both))
    return rows


def _answer(side: Any, content: Any, classes: bool) -> dict[str, np.ndarray]:
    if isinstance(content, dict):
        return side.outputs(content)
    return {"logits": side.logits(content)} if classes else side.pictured(content)
