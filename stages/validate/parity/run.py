"""Numerical comparison of two models."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlbuild.coreml import UnsupportedError
from mlbuild.coreml.compare.moved import Moved

from ..._shared.coreml_package.canonical import size_of
from ..._shared.digests.tree import model_sha256
from ..._shared.parity.aligning import brought, pair
from ..._shared.parity.asking import answer_of, ask
from ..._shared.parity.comparing import Classes, Outputs, Row
from ..._shared.parity.figures import EQUAL_DB
from ..._shared.parity.predicted import PredictedSide, is_predictions
from ..._shared.parity.rows import RowSide
from ..._shared.parity.samples import Reader, Sample, find
from ..._shared.parity.sides import CoreMLSide, match, open_side
from ..._shared.predictions.form import About, read_about
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .margin import (
    Expectation,
    at_half,
    bits_db,
    declares_half,
    expectation,
    margin,
    weights_db,
)
from .margin import told as told_of
from .write import write

_TIE = 1e-5  # of probabilities
_MOVED = 16  # samples are enough to see what moved weights do, each with a draw of its own


@told
def run(job: Any) -> None:
    """Ask both models, compare, report."""
    configure(job)
    params = job.params
    reference = open_side(job.inputs["reference"], "float32", params.scaling)
    samples = find(job.inputs["samples"], params.limit, _reading(reference))
    reader = Reader(skip=params.unreadable == "skip")
    compared = judge(job, reference, job.inputs["candidate"], samples, reader)
    metrics = {**compared.result.metrics(), "margin_db": compared.margin_db}
    asked = _asked(job.inputs["candidate"])
    metrics["size_mb"] = asked.size / 1e6
    for name, value in metrics.items():
        if isinstance(value, dict):
            job.metric(name, value["value"], n=value["n"])
        else:
            job.metric(name, value)
    write(job, compared.result, metrics, reader.unreadable, told_of(compared.least), asked)


@dataclass(frozen=True)
class Compared:
    """Both models' answers, and what was to be expected of the candidate."""

    result: Classes | Outputs
    least: dict[str, Expectation]
    margin_db: float


def judge(
    job: Any, reference: Any, candidate: Path, samples: list[Sample], reader: Reader
) -> Compared:
    """Compare a candidate with a reference, and with itself in float32 arithmetic.

    Args:
        job: For its parameters and its progress.
        reference: A ``Side``.
        candidate: A Core ML model.
        samples: What both are asked.
        reader: Reads them.
    """
    params = job.params
    side = open_side(candidate, params.precision, params.scaling)
    if samples[0].values is not None:  # rows of a table
        return _judge_rows(job, reference, side, samples, reader)
    order = match(reference, side)
    exact, allowed, moved = None, None, None
    if isinstance(side, CoreMLSide):
        exact, allowed = _exact(candidate, side, params), weights_db(candidate)
        moved = _moved(candidate, side, params) if allowed is not None else None
    elif isinstance(side, PredictedSide) and side.about.bits is not None:
        allowed = bits_db(side.about.bits)
    asked = (reference, side, exact, moved)
    rows, rounded, shifted = _ask(job, samples, reader, asked, classes=order is not None)
    result = _result(rows, reference.labels, order, params.topk)
    same = None if order is None else np.arange(len(order))

    def sides_of(what: str, rows: list[Row]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        try:
            return _result(rows, side.labels, same, params.topk).sides() if rows else {}
        except Problem as problem:
            job.log(f"what {what} costs cannot be told: {problem}")
            return {}

    noise, steps, sides = (
        sides_of("rounding", rounded), sides_of("compression", shifted), result.sides(),
    )  # fmt: skip
    half = exact is not None
    least = {n: expectation(noise.get(n), allowed, half, steps.get(n)) for n in sides}
    if isinstance(side, PredictedSide) and side.about.half:
        least = {n: at_half(expected) for n, expected in least.items()}
    margins = [margin(*both, least[name]) for name, both in sides.items()]
    return Compared(result, least, min(EQUAL_DB, *margins))


def _judge_rows(
    job: Any, reference: Any, side: Any, samples: list[Sample], reader: Reader
) -> Compared:
    """Models of tables: labels are equal or not, numbers are held to float32's accuracy."""
    if not isinstance(reference, PredictedSide):
        reference = RowSide(reference.model)
    asked = side if isinstance(side, PredictedSide) else RowSide(side.model, _labels(reference))
    rows, _, _ = _ask(job, samples, reader, (reference, asked, None, None), classes=False)
    result = Outputs(rows)
    sides = result.sides()
    least = {name: expectation(None, None, False) for name in sides}
    margins = [margin(*both, least[name]) for name, both in sides.items()]
    parted = result.parted(_TIE)
    if parted:
        job.log(f"other labels on {len(parted)} samples, such as {parted[0]}")
        margins.append(-EQUAL_DB)
    return Compared(result, least, min([EQUAL_DB, *margins]))


def _labels(side: Any) -> tuple[str, ...]:
    return tuple(side.about.labels if isinstance(side, PredictedSide) else side.labels)


def _reading(reference: Any) -> Any:
    """How the reference's table was laid out."""
    return reference.about.reading if isinstance(reference, PredictedSide) else None


def _result(
    rows: list[Row], labels: tuple[str, ...], order: np.ndarray | None, topk: int
) -> Classes | Outputs:
    if order is None:
        return Outputs(rows)
    return Classes(rows, labels, order, min(topk, len(order)))


def _exact(candidate: Path, side: CoreMLSide, params: Any) -> CoreMLSide | None:
    """The candidate in the other arithmetic; None where nothing of it is rounded to float16."""
    if not declares_half(side.model.operators()):
        return None
    other = "float32" if params.precision == "declared" else "declared"
    exact = CoreMLSide(candidate, other, params.scaling)
    exact.adopt(side.preprocessing)
    return exact


def _moved(candidate: Path, side: CoreMLSide, params: Any) -> tuple[CoreMLSide, CoreMLSide] | None:
    """The candidate in float32 arithmetic, and with its weights moved within their steps."""
    plain = CoreMLSide(candidate, "float32", params.scaling)
    plain.adopt(side.preprocessing)
    moved = copy(plain)
    try:
        moved.model = Moved(plain.model)
    except UnsupportedError:  # no ML Program: the bits of its weights have to do
        return None
    return plain, moved


def _ask(
    job: Any,
    samples: list[Sample],
    reader: Reader,
    asked: tuple[Any, CoreMLSide, CoreMLSide | None, tuple[CoreMLSide, CoreMLSide] | None],
    *,
    classes: bool,
) -> tuple[list[Row], list[Row], list[Row]]:
    """Answers of reference and candidate; of both arithmetics; with weights moved."""
    *sides, moved = asked
    rounded, shifted = [], []
    pairs: dict[str, str] = {}

    def both(sample: Sample, content: Any) -> Row:
        given = (sample.name, content, classes)
        ours, theirs, *exact = [answer_of(s, *given) for s in sides if s is not None]
        pairs.update(pairs or pair(ours, theirs, job.params.outputs))
        theirs, exact = brought(theirs, ours, pairs), [brought(e, ours, pairs) for e in exact]
        if moved is not None and len(shifted) < _MOVED:
            near = [brought(answer_of(s, *given), ours, pairs) for s in moved]
            shifted.append(Row(sample, *near))
        rounded.extend(Row(sample, other, theirs) for other in exact)
        return Row(sample, ours, theirs)

    return ask(job, samples, reader, both), rounded, shifted


def _asked(candidate: Path) -> About:
    """Which model the candidate is: of answers, the one that gave them."""
    if is_predictions(candidate):
        return read_about(candidate)
    sha256 = model_sha256(candidate)
    return About(candidate.name, "", size=size_of(candidate), sha256=sha256)
