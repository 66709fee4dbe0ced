"""Asks an ONNX model, through onnxruntime."""

from __future__ import annotations

from typing import Any

from ..._shared.description.description import KEY, from_text
from ..._shared.predictions.asking import ask_all, described, layouts
from ..._shared.predictions.feeding import Wanted
from ..._shared.problem.problem import Problem, told

_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}


@told
def run(job: Any) -> None:
    """Ask about every sample."""
    import onnxruntime  # heavy: this toolchain alone has it

    path = job.inputs["model"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = job.threads
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class for each of its status codes
        raise Problem(f"{path.name} is no ONNX model that can be run: {error}") from error
    metadata = session.get_modelmeta().custom_metadata_map
    description = from_text(metadata.get(KEY), path.name)
    known = layouts(description)
    inputs = [_wanted(given, known) for given in session.get_inputs()]
    names = [output.name for output in session.get_outputs()]

    def ask(feeds: Any) -> dict[str, Any]:
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except Exception as error:  # as above
            raise Problem(f"the ONNX model does not run: {str(error).splitlines()[0]}") from error

    ask_all(job, described(description, "ONNX"), inputs, ask)


def _wanted(given: Any, known: dict[str, str]) -> Wanted:
    if given.type not in _TYPES:
        raise Problem(f"input {given.name} is of type {given.type}, which samples cannot hold")
    shape = tuple(size if isinstance(size, int) else None for size in given.shape)
    return Wanted(given.name, shape, _TYPES[given.type], known.get(given.name))
