"""The package that was made, run beside the network that it came from.

Conversions that go wrong in silence (a layout, an epsilon, values that are not finite) are seen on
one drawn example. The package runs in float32 arithmetic, so that float16 shows in its weights
alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlbuild.coreml import CoreMLError, UnsupportedError, load

from ..._shared.problem.problem import Problem
from .conversion import wants_softmax
from .sources import Feature, Source

# As a share of an output's greatest value. Float32 sums in another order differ by 1e-5 at most
# in deep networks; float16 weights carry 11 bits, which add up over layers.
_ALLOWED = {"float32": 1e-3, "float16": 5e-2}
_SUM_OFF = 1e-2


@dataclass(frozen=True)
class Asked:
    """What the network itself says of a drawn example."""

    examples: list[np.ndarray]  # by input, as the package takes them
    answers: list[np.ndarray]  # by output


def ask(source: Source) -> Asked:
    """Ask the network.

    Raises:
        Problem: it does not run, or has another number of scores than there are labels.
    """
    examples = [_example(feature) for feature in source.features]
    feeds = {
        slot.name: _fed(value, feature).astype(slot.dtype)
        for slot, feature, value in zip(
            source.program.slots, source.features, examples, strict=True
        )
    }
    try:
        answers = list(source.program.call(feeds).values())
    except Exception as error:  # TensorFlow has a class for each of its status codes
        raise Problem(f"the model does not run: {str(error).splitlines()[0]}") from error
    if source.labels and answers[0].size != len(source.labels):
        raise Problem(f"labels: {len(source.labels)} are given, the model has {answers[0].size}")
    return Asked(examples, answers)


def verify(
    package: Path, source: Source, asked: Asked, params: Any, returns: str, log: Any
) -> dict[str, Any]:
    """Compare both on the example.

    Returns:
        Facts for the report.

    Raises:
        Problem: the package gives values that are not finite, or others.
    """
    if not all(np.isfinite(value).all() for value in asked.answers):
        log("TensorFlow's own answer to a drawn example is not finite: nothing is compared")
        return {"compared": False}
    pairs = zip(source.features, asked.examples, strict=True)
    given = {feature.name: _given(value, feature) for feature, value in pairs}
    names = _outputs(source, params, returns)
    try:
        if params.precision == "float16":  # as it will run: only here values overflow
            declared = load(package).predict(given)
            _finite([_numbers(declared[name]) for name in names], params.precision)
        answer = load(package, precision="float32").predict(given)
    except UnsupportedError as error:
        log(f"the package cannot be run here, nothing is compared: {error}")
        return {"compared": False}
    except CoreMLError as error:
        raise Problem(f"the converted model does not run: {error}") from error
    got = [_answer(answer, name, source) for name in names]
    softmax = wants_softmax(source, params, returns)
    wanted = [_softmax(value) if softmax else value for value in asked.answers]
    return _compared(got, wanted, params.precision)


def _compared(got: list[np.ndarray], wanted: list[np.ndarray], precision: str) -> dict[str, Any]:
    worst = 0.0
    _finite(got, precision)
    for ours, theirs in zip(got, wanted, strict=True):
        if ours.size != theirs.size:
            raise Problem(f"the converted model gives {ours.size} values, TensorFlow {theirs.size}")
        ours = ours.reshape(theirs.shape).astype(np.float64)
        greatest = float(np.abs(theirs).max()) or 1.0
        worst = max(worst, float(np.abs(ours - theirs).max()) / greatest)
    if worst > _ALLOWED[precision]:
        raise Problem(
            f"the converted model differs from TensorFlow by {worst:.2g} of the greatest value on "
            f"a drawn example, allowed is {_ALLOWED[precision]:g}",
            hint="the converter has read a layer otherwise: export the network another way",
        )
    return {"compared": True, "largest_difference": float(f"{worst:.2g}")}


def _finite(got: list[np.ndarray], precision: str) -> None:
    if all(np.isfinite(value).all() for value in got):
        return
    raise Problem(
        "the converted model gives values that are not finite where TensorFlow's are",
        hint="in float16 numbers end at 65504: convert with `precision: float32`"
        if precision == "float16"
        else None,
    )


def _numbers(value: Any) -> np.ndarray:
    return np.asarray(list(value.values()) if isinstance(value, dict) else value)


def _example(feature: Feature) -> np.ndarray:
    random = np.random.default_rng(0)
    sizes = feature.shapes[0] if feature.shapes else feature.shape or []
    shape = [size if isinstance(size, int) else size[0] for size in sizes]
    if feature.pixels is not None:
        return random.integers(0, 256, shape).astype(np.float32)
    if feature.dtype == "int32":
        return random.integers(0, 2, shape).astype(np.int32)  # indices that every table has
    return random.normal(size=shape).astype(np.float32)


def _fed(value: np.ndarray, feature: Feature) -> np.ndarray:
    """What TensorFlow's network takes."""
    pixels = feature.pixels
    if pixels is None:
        return value
    each = (1, 1, 1, -1) if value.shape[3] == len(pixels.bias) else (1, -1, 1, 1)
    value = value * np.float32(pixels.scale) + np.float32(pixels.bias).reshape(each)
    factors = pixels.multiply
    return value if factors is None else value * np.float32(factors).reshape(each)


def _given(value: np.ndarray, feature: Feature) -> Any:
    """What the package takes: a picture's colours stand as RGB in a picture."""
    if feature.pixels is None:
        return value
    from PIL import Image  # pictures alone need it

    last = value[0] if value.shape[3] == len(feature.pixels.bias) else value[0].transpose(1, 2, 0)
    plain = last.astype(np.uint8)
    if feature.pixels.colour == "GRAY":
        return Image.fromarray(plain[:, :, 0], "L")
    return Image.fromarray(plain[:, :, ::-1] if feature.pixels.colour == "BGR" else plain)


def _outputs(source: Source, params: Any, returns: str) -> list[str]:
    if returns == "outputs":
        return [output.name for output in source.outputs]
    if returns == "classifier":
        return [params.score_output or f"{params.label_output}_probs"]
    return [params.score_output or returns]


def _answer(answer: Any, name: str, source: Source) -> np.ndarray:
    if not isinstance(answer[name], dict):
        return np.asarray(answer[name])
    scores = np.array([answer[name][label] for label in source.labels or ()])
    if abs(scores.sum() - 1) > _SUM_OFF or scores.min() < -_SUM_OFF:
        raise Problem(
            f"the scores of the labels sum to {scores.sum():.3g}, not to 1: this is no softmax",
            hint="softmax: add puts one behind the network; output: logits gives the numbers alone",
        )
    return scores


def _softmax(value: np.ndarray) -> np.ndarray:
    value = value.astype(np.float64)
    value = np.exp(value - value.max(axis=-1, keepdims=True))
    return value / value.sum(axis=-1, keepdims=True)
