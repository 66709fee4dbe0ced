"""Write a torch network as an ExecuTorch program."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..._shared.description.description import append
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_program.exporting import difference, exported, refused
from ..._shared.torch_program.program import Program, read
from ..._shared.torch_setup.configure import configure
from .backends import partitioners
from .quantizing import quantized

_OFF = 1e-3  # of the greatest value; float32 sums in another order stay a hundred times below
_DELEGATE = "executorch_call_delegate"


@told
def run(job: Any) -> None:
    """Read, quantize, lower, write, compare."""
    configure(job)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ExecuTorch and torch deprecate what they use themselves
        _convert(job)


def _convert(job: Any) -> None:
    params = job.params
    program = read(job)
    job.progress(0, 3, "exporting")
    source = exported(program, job.log)
    description = program.describe()
    if params.quantize == "int8":
        source = quantized(job, program, source)
        description["bits"] = 8
    job.progress(1, 3, f"lowering to {params.backend}")
    lowered = _lowered(source, params, job.log)
    file = job.outputs["model"]
    file.write_bytes(lowered.to_executorch().buffer)
    append(file, description)
    names = [str(n.target) for n in lowered.exported_program().graph.nodes if n.op != "output"]
    calls = [
        name for name in names if "aten" in name or "executorch" in name or "dim_order" in name
    ]
    delegated = sum(_DELEGATE in name for name in calls)
    job.metric("size_mb", file.stat().st_size / 1e6)
    job.metric("delegated", delegated)
    job.metric("left_over", len(calls) - delegated)
    job.progress(2, 3, "comparing")
    if params.backend == "coreml":
        job.log("a program for Core ML cannot be run here: validate convert/coreml's in its place")
        return
    found = _asked(program, file)
    if params.quantize == "none":
        _compare(job, replace(program, exported=None), found)


def _compare(job: Any, program: Program, found: tuple[torch.Tensor, ...]) -> None:
    off = difference(program, found)
    if not off <= _OFF:
        raise Problem(
            f"ExecuTorch's answer to a drawn input is {off:.1e} of its size beside torch's",
            hint="try another backend",
        )
    job.metric("largest_difference", off)


def _lowered(source: Any, params: Any, log: Any) -> Any:
    from executorch.exir import to_edge_transform_and_lower  # heavy: 20 s on a busy machine

    try:
        return to_edge_transform_and_lower(source, partitioner=partitioners(params))
    except Exception as error:  # its passes raise whatever they stumble over
        log(traceback.format_exc())
        raise refused("ExecuTorch cannot lower this network", error) from error


def _asked(program: Program, file: Path) -> tuple[torch.Tensor, ...]:
    """What the runtime answers to the examples."""
    from executorch.runtime import Runtime  # after the compiler, whose libraries it shares

    try:
        method = Runtime.get().load_program(str(file)).load_method("forward")
        return tuple(method.execute(list(program.examples())))
    except RuntimeError as error:
        raise Problem(
            f"ExecuTorch's runtime refuses the program: {str(error).splitlines()[0]}",
            hint="an operator has no kernel in this build; try another backend",
        ) from error
