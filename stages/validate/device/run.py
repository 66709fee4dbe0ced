"""How long a model takes where it will run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlbuild.coreml.golden.mac import this_system

from ..._shared.apple_tools.feeding import taken
from ..._shared.apple_tools.macos import needs_macos
from ..._shared.apple_tools.plan import rows, shares
from ..._shared.apple_tools.timing import summary
from ..._shared.digests.tree import model_sha256
from ..._shared.parity.rows import RowSide
from ..._shared.parity.samples import Reader, find
from ..._shared.parity.sides import CoreMLSide
from ..._shared.problem.problem import Problem, told

VERSION = 1


@told
def run(job: Any) -> None:
    """Time, look at the plan, tell; fail where it takes too long."""
    needs_macos("validate/device", "Core ML")
    params, model = job.params, job.inputs["model"]
    times, about = _times(job, model, _first(job))
    plan = _plan(job, model)
    report = {
        "version": VERSION,
        "kind": "validate/device",
        "model_sha256": model_sha256(model),
        "system": {**this_system(), **about},
        "units": times,
        "plan": plan,
    }
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    for unit, found in times.items():
        job.log(
            f"{unit}: {found['median_ms']:.2f} ms (95 % below {found['p95_ms']:.2f}), loaded in "
            f"{found['load_ms']:.0f} ms"
        )
    if plan:
        job.metric("operations", len(plan))
        for place, share in shares(plan).items():
            job.metric(f"cost_{place}", share)
    _hold(times, "median_ms", params.max_ms, "max_ms", "a prediction takes")
    _hold(times, "load_ms", params.max_load_ms, "max_load_ms", "loading takes")


def _first(job: Any) -> dict[str, Any]:
    """The first sample, as Core ML takes it."""
    side = CoreMLSide(job.inputs["model"], "declared", job.params.scaling)
    sample = find(job.inputs["samples"])[0]
    rows = None if sample.values is None else RowSide(side.model)
    return taken(side, rows, Reader(skip=False).read(sample))


def _times(
    job: Any, model: Path, values: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Of each compute unit load time and the summary of its predictions."""
    # Not at import: other systems are refused before coremltools is loaded.
    from .timing import on_device, on_this_mac

    params = job.params
    try:
        if params.device is not None:
            found, about = on_device(model, params.units, values, params, job.scratch)
        else:
            about, found = {}, {}
            for done, unit in enumerate(params.units, 1):
                found[unit] = on_this_mac(model, unit, values, params)
                job.progress(done, len(params.units), unit)
    except Problem:
        raise
    except Exception as error:  # coremltools raises plain ones for whatever Core ML says
        raise Problem(f"Core ML did not run the model: {error}") from error
    return {u: {"load_ms": t.load, **summary(t.predictions)} for u, t in found.items()}, about


def _plan(job: Any, model: Path) -> list[dict[str, Any]] | None:
    """Where Core ML would run each operation of the model on this Mac; None where it cannot say."""
    import coremltools as ct  # not at import, as above
    from coremltools.models.compute_plan import MLComputePlan

    try:
        loaded = ct.models.MLModel(str(model))
        plan = MLComputePlan.load_from_path(
            path=loaded.get_compiled_model_path(), compute_units=ct.ComputeUnit.ALL
        )
        return rows(plan)
    except Exception as error:  # systems before macOS 14.4 have none
        job.log(f"Core ML tells no plan of this model: {error}")
        return None


def _hold(
    times: dict[str, dict[str, Any]], what: str, limit: float | None, name: str, doing: str
) -> None:
    """Fail where even the fastest unit is too slow.

    Raises:
        Problem: it is, with the figures of all units.
    """
    if limit is None or min(found[what] for found in times.values()) <= limit:
        return
    had = ", ".join(f"{unit} {found[what]:.2f} ms" for unit, found in times.items())
    raise Problem(f"{doing} longer than {name} {limit:g}: {had}")
