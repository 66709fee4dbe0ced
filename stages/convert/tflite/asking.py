"""The file that was written, asked by TensorFlow's own interpreter."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem

# Shares of the greatest value. Float16 keeps 11 bits; 8 bits of weights, and of values, cost what
# the network makes of them: more than this is no rounding.
_ALLOWED = {"none": 1e-3, "float16": 2e-2, "dynamic": 0.25, "int8": 0.5}

Answers = Mapping[str, np.ndarray]


def asked(tf: Any, content: bytes, examples: Sequence[Answers]) -> list[Answers]:
    """Answers of the file, as plain numbers."""
    runner = _interpreter(tf, content).get_signature_runner()
    takes, gives = runner.get_input_details(), runner.get_output_details()
    found = []
    for example in examples:
        given = {name: _steps(value, takes[name]) for name, value in example.items()}
        try:
            answer = runner(**given)
        except (RuntimeError, ValueError) as error:
            raise Problem(f"the file does not run: {str(error).splitlines()[0]}") from error
        found.append({name: _plain(value, gives[name]) for name, value in answer.items()})
    return found


def compared(
    found: Sequence[Answers], wanted: Sequence[Answers], quantization: str, log: Any
) -> float | None:
    """The greatest difference, as a share of an output's greatest value.

    Raises:
        Problem: a value is not finite, or further away than the quantization explains.
    """
    worst = 0.0
    for name in wanted[0]:
        theirs = np.concatenate([w[name].reshape(-1) for w in wanted]).astype(np.float64)
        ours = np.concatenate([f[name].reshape(-1) for f in found]).astype(np.float64)
        if not np.isfinite(theirs).all():
            log(f"TensorFlow's own answer {name} is not finite: it is not compared")
            continue
        if not np.isfinite(ours).all():
            raise Problem(
                f"the file gives values that are not finite where TensorFlow's are: {name}"
            )
        if ours.size != theirs.size:
            raise Problem(f"the file gives {ours.size} values of {name}, TensorFlow {theirs.size}")
        worst = max(worst, float(np.abs(ours - theirs).max() / (np.abs(theirs).max() or 1.0)))
    if worst > _ALLOWED[quantization]:
        hint = "choose samples as the model will meet them, or quantization: float16"
        raise Problem(
            f"the file differs from TensorFlow by {worst:.2g} of the greatest value, allowed is "
            f"{_ALLOWED[quantization]:g}",
            hint=hint if quantization == "int8" else None,
        )
    return worst


def facts_of(tf: Any, content: bytes) -> dict[str, Any]:
    """Inputs, outputs and operators."""
    interpreter = _interpreter(tf, content, delegates=False)
    runner = interpreter.get_signature_runner()
    counted = Counter(o["op_name"] for o in interpreter._get_ops_details())
    return {
        "inputs": _told(runner.get_input_details()),
        "outputs": _told(runner.get_output_details()),
        "operators": dict(sorted(counted.items())),
    }


def _interpreter(tf: Any, content: bytes, delegates: bool = True) -> Any:
    """As apps have it: with the delegates of the machine. They are no operators of the file."""
    kinds = tf.lite.experimental.OpResolverType
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that LiteRT's package has it too
        made = tf.lite.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=kinds.AUTO
            if delegates
            else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    try:
        made.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise Problem(f"the file does not run: {str(error).splitlines()[0]}") from error
    return made


def _told(details: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": [int(size) for size in detail["shape"]],
            "dtype": np.dtype(detail["dtype"]).name,
        }
        for name, detail in sorted(details.items())
    ]


def _steps(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if not scale or np.dtype(detail["dtype"]).kind == "f":
        return value.astype(detail["dtype"])
    ends = np.iinfo(detail["dtype"])
    return np.clip(np.rint(value / scale) + zero, ends.min, ends.max).astype(detail["dtype"])


def _plain(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if not scale or np.dtype(detail["dtype"]).kind == "f":
        return value
    return (value.astype(np.float32) - zero) * np.float32(scale)
