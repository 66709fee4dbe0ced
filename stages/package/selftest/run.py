"""A self-test that a Mac can run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlbuild.coreml import CoreMLError
from mlbuild.coreml.golden.judging import EQUAL_DB, judge
from mlbuild.coreml.golden.tolerances import Tolerance, tolerance

from ..._shared.apple_tools.feeding import taken
from ..._shared.coreml_package.canonical import size_of
from ..._shared.parity.asking import ask
from ..._shared.parity.rows import RowSide
from ..._shared.parity.samples import Reader, Sample, find
from ..._shared.parity.sides import CoreMLSide
from ..._shared.problem.problem import Problem, told
from ..._shared.selftest.writing import Recorded, write
from ..._shared.torch_setup.configure import configure

_ROOM_DB = 6.0  # rounding in other places doubles what rounding costs, at most
_END = "SelfTest"


@told
def run(job: Any) -> None:
    """Ask the model about every sample, choose tolerances, write."""
    configure(job)
    params, model = job.params, job.inputs["model"]
    samples = find(job.inputs["samples"], params.limit)
    reader = Reader(skip=params.unreadable == "skip")
    recorded = _asked(job, samples, reader, "declared")
    exact = _asked(job, samples, Reader(skip=reader.skip), "float32")
    _repeatable(recorded, _asked(job, samples[:1], Reader(skip=reader.skip), "declared"))
    side = CoreMLSide(model, "declared", params.scaling)
    half = any("fp16" in text for use in side.model.operators() for _, text in use.outputs)
    rounding = _rounding(recorded, exact)
    limits = {
        unit: _limit(tolerance(side.model.description, unit, half), params.min_psnr_db, rounding)
        for unit in params.units
    }
    folder = job.outputs["selftest"]
    name = params.name or folder.name.removesuffix(_END)
    write(folder, model, name, recorded, limits, include=params.include_model)
    job.metric("samples", len(recorded))
    job.metric("size_mb", size_of(folder) / 1e6)
    job.metric("tolerance_db", min(limit.psnr_db for limit in limits.values()))
    job.metric("rounding_db", rounding)


def _asked(job: Any, samples: Sequence[Sample], reader: Reader, precision: str) -> list[Recorded]:
    """Inputs and answers of every sample, as Core ML takes and gives them."""
    side = CoreMLSide(job.inputs["model"], precision, job.params.scaling)
    rows = RowSide(side.model) if samples[0].values is not None else None

    def answer(sample: Sample, content: Any) -> Recorded:
        given = taken(side, rows, content)
        try:
            state = side.model.make_state() if side.model.description.states else None
            return Recorded(sample.name, given, side.model.predict(given, state=state))
        except CoreMLError as error:
            raise Problem(str(error)) from error

    return ask(job, samples, reader, answer)


def _repeatable(recorded: Sequence[Recorded], again: Sequence[Recorded]) -> None:
    """Refuse a model that answers differently each time."""
    names = [r.sample for r in again]
    first = [r.outputs for r in recorded if r.sample in names]
    found = judge("", names, first, [r.outputs for r in again], Tolerance(EQUAL_DB, ""))
    if any(finding.why for finding in found):
        raise Problem(
            "the model answers differently when it is asked twice: it draws random numbers",
            hint="a self-test needs a model that always answers alike",
        )


def _rounding(recorded: Sequence[Recorded], exact: Sequence[Recorded]) -> float:
    """How far rounding to float16 moves the answers, dB; of numbers, labels aside."""
    names = [r.sample for r in recorded]
    ours, theirs = [r.outputs for r in recorded], [r.outputs for r in exact]
    found = judge("", names, theirs, ours, Tolerance(0.0, ""))
    return min([EQUAL_DB, *(f.psnr_db for f in found if not f.why)])


def _limit(usual: Tolerance, wanted: float | None, rounding: float) -> Tolerance:
    if wanted is not None:
        return Tolerance(wanted, "given by the pipeline")
    if rounding - _ROOM_DB < usual.psnr_db:
        least = round(max(0.0, rounding - _ROOM_DB), 1)
        return Tolerance(least, f"float16 rounding alone moves these answers by {rounding:.0f} dB")
    return usual
