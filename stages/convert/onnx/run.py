"""Write a torch network as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import torch

from ..._shared.problem.problem import Problem, told
from ..._shared.torch_program.exporting import check_free, difference
from ..._shared.torch_program.program import Program, read
from ..._shared.torch_setup.configure import configure
from .writing import to_onnx

_OFF = 1e-3  # of the greatest value; float32 sums in another order stay a hundred times below


@told
def run(job: Any) -> None:
    """Read, export, check, compare."""
    configure(job)
    program = read(job)
    free = {name: {int(a): n for a, n in axes.items()} for name, axes in job.params.dynamic.items()}
    check_free(program, free)
    job.progress(0, 2, "exporting")
    model = to_onnx(program, job.params.opset, free, job.log)
    file = job.outputs["model"]
    file.write_bytes(model.SerializeToString(deterministic=True))
    job.progress(1, 2, "comparing")
    off = difference(program, _asked(program, file, job.threads))
    if not off <= _OFF:
        raise Problem(
            f"onnxruntime's answer to a drawn input is {off:.1e} of its size beside torch's",
            hint="compare them by validate/parity with other settings, such as another opset",
        )
    job.metric("size_mb", file.stat().st_size / 1e6)
    job.metric("operators", len(model.graph.node))
    job.metric("opset", next(o.version for o in model.opset_import if not o.domain))
    job.metric("largest_difference", off)


def _asked(program: Program, file: Path, threads: int) -> tuple[torch.Tensor, ...]:
    """What onnxruntime answers to the examples."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        feeds = zip((g.name for g in program.inputs), program.examples(), strict=True)
        taken = {given.name for given in session.get_inputs()}
        found = session.run(None, {n: v.numpy() for n, v in feeds if n in taken})
    except Exception as error:  # onnxruntime has a class for each of its status codes
        raise Problem(
            f"onnxruntime refuses the file: {str(error).splitlines()[0]}",
            hint="try another opset",
        ) from error
    return tuple(torch.from_numpy(value) for value in found)
