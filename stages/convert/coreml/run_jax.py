"""Convert what jax.export serialized to a Core ML package."""

from __future__ import annotations

import traceback
from typing import Any

import coremltools as ct
from stablehlo_coreml import build_pass_pipeline
from stablehlo_coreml import convert as lower

from ..._shared.jax_model.program import stablehlo
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure
from .conversion import wants_softmax
from .jax_sources import dressed, read
from .milprogram import finish
from .sources import returned
from .writing import write

_OLDEST = ct.target.iOS18


@told
def run(job: Any) -> None:
    """Read, lower, convert, describe, check, save."""
    configure(job)
    target = getattr(ct.target, job.params.target)
    if target < _OLDEST:
        raise Problem(
            f"target: {job.params.target}, but what JAX exports needs operators of iOS18",
            hint="set target: iOS18 or macOS15",
        )
    source, slots = read(job)
    returns = returned(source, job.params)
    job.progress(0, 2, "converting")
    softmax = wants_softmax(source, job.params, returns)
    program = _lowered(dressed(source, slots, softmax), target, job.log)
    mlmodel = finish(program, source, job.params, returns, job.log, build_pass_pipeline())
    write(job, mlmodel, source, returns)


def _lowered(exported: Any, target: Any, log: Any) -> Any:
    """The program in coremltools' language."""
    try:
        return lower(stablehlo(exported), minimum_deployment_target=target)
    except Exception as error:  # the converter raises whatever it stumbles over
        log(traceback.format_exc())
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = " ".join(lines)[:400] or type(error).__name__
        raise Problem(
            f"stablehlo-coreml cannot convert this function: {text}",
            hint="write that part with other operations of jax.numpy; the log has the traceback",
        ) from error
