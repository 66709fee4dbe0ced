"""Asks a TFLite model, through LiteRT's interpreter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..._shared.description.description import appended
from ..._shared.predictions.asking import ask_all, described, layouts
from ..._shared.predictions.feeding import Wanted
from ..._shared.problem.problem import Problem, told


@told
def run(job: Any) -> None:
    """Ask about every sample; quantized inputs and outputs are scaled as the model says."""
    from ai_edge_litert.interpreter import Interpreter  # heavy: this toolchain alone has it

    path = job.inputs["model"]
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=job.threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise Problem(f"{path.name} is no TFLite model that can be run: {error}") from error
    description = appended(path)
    known = layouts(description)
    slots = interpreter.get_input_details()
    names = _names(interpreter, slots, "inputs")
    inputs = [
        Wanted(name, tuple(int(s) for s in slot["shape"]), "float32" if _steps(slot) else
               np.dtype(slot["dtype"]).name, known.get(name, "NHWC"))
        for name, slot in zip(names, slots, strict=True)
    ]  # fmt: skip

    def ask(feeds: Any) -> dict[str, np.ndarray]:
        for name, slot in zip(names, slots, strict=True):
            interpreter.set_tensor(slot["index"], _quantized(feeds[name], slot))
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise Problem(f"the TFLite model does not run: {error}") from error
        outputs = interpreter.get_output_details()
        told_names = _names(interpreter, outputs, "outputs")
        return {
            name: _plain(interpreter.get_tensor(slot["index"]), slot)
            for name, slot in zip(told_names, outputs, strict=True)
        }

    about = described(description, "TFLite")
    ask_all(job, replace(about, bits=about.bits or _bits(interpreter)), inputs, ask)


def _names(interpreter: Any, slots: list[dict[str, Any]], which: str) -> list[str]:
    """The names of the signature, which people gave; tensors' own names come from the graph."""
    for signature in interpreter.get_signature_list().values():
        runner = interpreter.get_signature_runner()
        found = runner.get_input_details() if which == "inputs" else runner.get_output_details()
        by_index = {detail["index"]: name for name, detail in found.items()}
        if signature and all(slot["index"] in by_index for slot in slots):
            return [by_index[slot["index"]] for slot in slots]
    return [slot["name"] for slot in slots]


def _steps(slot: dict[str, Any]) -> bool:
    return bool(slot["quantization"][0]) and np.dtype(slot["dtype"]).kind in "iu"


def _quantized(array: np.ndarray, slot: dict[str, Any]) -> np.ndarray:
    if not _steps(slot):
        return array.astype(slot["dtype"])
    scale, zero = slot["quantization"]
    ends = np.iinfo(slot["dtype"])
    return np.clip(np.rint(array / scale) + zero, ends.min, ends.max).astype(slot["dtype"])


def _plain(array: np.ndarray, slot: dict[str, Any]) -> np.ndarray:
    if not _steps(slot):
        return array
    scale, zero = slot["quantization"]
    return ((array.astype(np.float32) - zero) * np.float32(scale)).astype(np.float32)


def _bits(interpreter: Any) -> int | None:
    """The fewest bits of constants that are as big as weights; None for floats alone."""
    found = {
        8 * np.dtype(d["dtype"]).itemsize
        for d in interpreter.get_tensor_details()
        if np.dtype(d["dtype"]).kind in "iu"
        and d["quantization_parameters"]["scales"].size
        and np.prod(d["shape"]) > 64
    }
    return min(found, default=None) if min(found, default=32) < 16 else None
