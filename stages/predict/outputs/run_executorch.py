"""Asks an ExecuTorch program, through its runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..._shared.description.description import appended
from ..._shared.predictions.asking import ask_all, described, layouts
from ..._shared.predictions.feeding import Wanted
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_setup.configure import configure

# The runtime tells a ScalarType by its number (c10/core/ScalarType.h).
_TYPES = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64",
    5: "float16", 6: "float32", 7: "float64", 11: "bool",
}  # fmt: skip
_METHOD = "forward"


@told
def run(job: Any) -> None:
    """Ask about every sample."""
    configure(job)
    path = job.inputs["model"]
    method = _method(path)
    description = appended(path)
    known = layouts(description)
    inputs = _inputs(method.metadata, description)
    told_names = [output["name"] for output in description.get("outputs") or ()]

    def ask(feeds: Any) -> dict[str, np.ndarray]:
        try:
            found = method.execute([torch.from_numpy(feeds[w.name]) for w in inputs])
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise Problem(f"the ExecuTorch program does not run: {first}") from error
        names = told_names
        if len(names) != len(found):
            names = [f"output_{i}" if i else "output" for i in range(len(found))]
        # The runtime uses its memory again with the next call.
        return {name: value.numpy().copy() for name, value in zip(names, found, strict=True)}

    wanted = [Wanted(w.name, w.shape, w.dtype, known.get(w.name)) for w in inputs]
    ask_all(job, described(description, "ExecuTorch"), wanted, ask)


def _method(path: Any) -> Any:
    from executorch.runtime import Runtime, Verification  # heavy: this toolchain alone has it

    try:
        program = Runtime.get().load_program(str(path), verification=Verification.Minimal)
        if _METHOD not in program.method_names:
            names = ", ".join(sorted(program.method_names))
            raise Problem(f"{path.name} has no method {_METHOD}, it has {names}")
        return program.load_method(_METHOD)
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise Problem(
            f"{path.name} is no ExecuTorch program that can be run here: {first}",
            hint="a program for Core ML or another device's backend runs on that device alone",
        ) from error


def _inputs(metadata: Any, description: Any) -> list[Wanted]:
    names = [given["name"] for given in description.get("inputs") or ()]
    count = metadata.num_inputs()
    if len(names) != count:
        names = [f"input_{i}" if i else "input" for i in range(count)]
    return [_wanted(name, metadata.input_tensor_meta(i)) for i, name in enumerate(names)]


def _wanted(name: str, info: Any) -> Wanted:
    if info.dtype() not in _TYPES:
        raise Problem(f"input {name} is of a type that samples cannot hold")
    return Wanted(name, tuple(info.sizes()), _TYPES[info.dtype()])
