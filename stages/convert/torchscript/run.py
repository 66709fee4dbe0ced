"""Write a torch network as TorchScript."""

from __future__ import annotations

import io
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..._shared.description.description import MEMBER, to_text
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_program.exporting import difference, refused
from ..._shared.torch_program.program import Program, outputs_of, read
from ..._shared.torch_setup.configure import configure

_OFF = 1e-3  # of the greatest value; a frozen program folds batch norms into weights
# Positions in source files of this machine, and what the writer adds by itself.
_LEFT_OUT = (".debug_pkl", "/.data/serialization_id", "/version")


@told
def run(job: Any) -> None:
    """Read, trace, write, compare."""
    configure(job)
    program = read(job)
    job.progress(0, 2, "tracing")
    script = _traced(program, job.log)
    if job.params.freeze:
        script = torch.jit.freeze(script)
    file = job.outputs["model"]
    _write(script, file, to_text(program.describe()), lite=job.params.lite)
    job.progress(1, 2, "comparing")
    off = difference(program, _asked(file, program, lite=job.params.lite))
    if not off <= _OFF:
        raise Problem(
            f"the traced network's answer is {off:.1e} of its size beside the network's own",
            hint="it decides by values, which a trace does not follow: use convert/onnx or "
            "convert/coreml from an exported program",
        )
    job.metric("size_mb", file.stat().st_size / 1e6)
    nodes = [n for n in script.inlined_graph.nodes() if n.kind() != "prim::Constant"]
    job.metric("operators", sum(n.kind().startswith("aten::") for n in nodes))
    job.metric("largest_difference", off)


def _traced(program: Program, log: Any) -> Any:
    if isinstance(program.net, torch.jit.ScriptModule):
        return program.net
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of branches; the comparison decides
            return torch.jit.trace(program.net.eval(), program.examples(), check_trace=False).eval()
    except Exception as error:  # tracing raises whatever the network's code leads to
        log(traceback.format_exc())
        raise refused("this network cannot be traced", error) from error


def _write(script: Any, file: Path, description: str, *, lite: bool) -> None:
    extra = {MEMBER: description}
    if lite:
        data = script._save_to_buffer_for_lite_interpreter(_extra_files=extra)
    else:
        buffer = io.BytesIO()
        torch.jit.save(script, buffer, _extra_files=extra)
        data = buffer.getvalue()
    canonical = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(canonical)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(_LEFT_OUT):
                record = archive.read(name)
                writer.write_record(name.partition("/")[2], record, len(record))
    writer.write_end_of_file()
    file.write_bytes(canonical.getvalue())


def _asked(file: Path, program: Program, *, lite: bool) -> tuple[torch.Tensor, ...]:
    """What the written file answers to the examples."""
    if lite:
        from torch.jit.mobile import _load_for_lite_interpreter  # only this form needs it

        net: Any = _load_for_lite_interpreter(str(file))
    else:
        net = torch.jit.load(str(file), map_location="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return outputs_of(net, program.examples())
