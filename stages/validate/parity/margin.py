"""How far a faultless conversion may lie from its source, and by how much this one keeps to it.

A right conversion differs for two reasons, and both can be told from the candidate alone:

* Arithmetic. A float16 model rounds its weights and every value. The same model in float32
  arithmetic shows what rounding the values costs on these very samples; rounding the weights costs
  about as much again. Measured on faultless conversions the distance to the source is 1.0 to 1.6
  times that figure, so that ``_ROUNDING_DB`` below it is a fault, not rounding. A float32 model
  reaches 125 dB and more.
* Compression. Each bit that a weight loses doubles the step between its values: 6.02 dB. Measured
  are 46 to 63 dB at 8 bits, 35 to 44 at 6, 21 to 31 at 4. Pruning takes the smallest weights:
  with normal weights, 30 % of them hold 1.5 % of the energy (18 dB), 50 % hold 7 % (11 dB).
  What that costs at an output is measured: the same model with each weight moved within its own
  step. Of 56 faultless conversions none lay more than 5.7 dB below that.

What lies lower than this is no rounding: a wrong axis, an epsilon, swapped weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.compression.blobs import WeightFileError
from ..._shared.compression.weights import ModelError, Weight, read_weights

FLOAT32_DB = 100.0  # 25 dB of room below what float32 conversions reach
HALF_DB = 40.0  # where rounding costs more than that, float16 itself is what is wrong
_ROUNDING_DB = 10.0  # root mean square: three times the rounding that was seen
_PEAK_DB = 14.0  # largest error: five times, since a maximum varies more than a mean
_STEPS_DB, _STEPS_PEAK_DB = 8.0, 12.0  # right conversions were up to 5.7 and 9.7 below
_CREST_DB = 14.0  # of uniform or normal errors, the largest lies so far above the mean square
_BIT_DB, _BITS_OFF_DB = 6.02, 8.0
OTHERS_DB = 40.0  # 8 bits: a NeuralNetwork does not say what its weights were rounded to
_SCHEMES = {"palette", "linear", "sparse"}
_SPARSE_OFF_DB = 4.0


@dataclass(frozen=True)
class Expectation:
    """The least that a faultless conversion reaches, dB below the reference's range."""

    psnr_db: float  # by the root mean square error
    peak_db: float  # by the largest error
    because: str


def expectation(
    rounded: tuple[np.ndarray, np.ndarray] | None,
    weights_db: float | None,
    half: bool,
    moved: tuple[np.ndarray, np.ndarray] | None = None,
) -> Expectation:
    """What to expect of one output.

    Args:
        rounded: The candidate's values in float32 arithmetic and as declared, of equal shapes;
            None where they could not be had.
        weights_db: What compressed weights allow; None where none are compressed.
        half: Whether the model declares float16 values.
        moved: The candidate's values in float32 arithmetic, and with its compressed weights moved
            within their steps; None where they could not be had.
    """
    psnr, peak, because = FLOAT32_DB, FLOAT32_DB - _CREST_DB, "float32 arithmetic"
    if half and rounded is not None:
        psnr_of, peak_of = levels(*rounded)
        if psnr_of - _ROUNDING_DB < psnr or peak_of - _PEAK_DB < peak:
            psnr = min(psnr, max(HALF_DB, psnr_of - _ROUNDING_DB))
            peak = min(peak, max(HALF_DB - _CREST_DB, peak_of - _PEAK_DB))
            because = "float16 rounding"
    if weights_db is not None:
        stored = weights_db, weights_db - _CREST_DB
        if moved is not None:  # never less than what the bits alone allow
            measured = levels(*moved)
            stored = (
                max(stored[0], measured[0] - _STEPS_DB),
                max(stored[1], measured[1] - _STEPS_PEAK_DB),
            )
        if stored[0] < psnr or stored[1] < peak:
            because = "compressed weights"
        psnr, peak = min(psnr, stored[0]), min(peak, stored[1])
    return Expectation(psnr, peak, because)


def levels(reference: np.ndarray, candidate: np.ndarray) -> tuple[float, float]:
    """Range of the reference over root mean square error and over largest error, dB.

    Equal arrays reach infinity; a reference without range is held against its largest value.
    """
    error = np.abs(reference - candidate)
    span = float(reference.max() - reference.min()) or float(np.abs(reference).max()) or 1.0
    with np.errstate(divide="ignore"):
        noise, peak = np.sqrt(np.mean(error**2)), error.max()
        return float(-20 * np.log10(noise / span)), float(-20 * np.log10(peak / span))


def margin(reference: np.ndarray, candidate: np.ndarray, least: Expectation) -> float:
    """How much better than the least that is expected, dB; below 0 is a fault."""
    psnr, peak = levels(reference, candidate)
    return float(min(psnr - least.psnr_db, peak - least.peak_db))


def weights_db(package: Path) -> float | None:
    """What a model's stored weights allow, by the fewest bits of any; None for full ones."""
    try:
        _, weights = read_weights(package)
    except (ModelError, WeightFileError):
        return OTHERS_DB  # no ML Program of one function: its weights may be of any width
    least = [_weight_db(weight) for weight in weights if _SCHEMES & set(weight.stored.split("+"))]
    return min(least, default=None)


def bits_db(bits: int) -> float:
    """What weights of so many bits allow, of a model that says no more of itself."""
    return _BIT_DB * bits - _BITS_OFF_DB


def at_half(expected: Expectation) -> Expectation:
    """The same of a model that computes in float16 and cannot be asked to do otherwise."""
    psnr, peak = min(expected.psnr_db, HALF_DB), min(expected.peak_db, HALF_DB - _CREST_DB)
    because = "float16 rounding" if psnr < expected.psnr_db else expected.because
    return Expectation(psnr, peak, because)


def declares_half(operators: Iterable[Any]) -> bool:
    """Whether a model computes any value in float16."""
    return any("fp16" in type_ for use in operators for _, type_ in use.outputs)


def _weight_db(weight: Weight) -> float:
    least = [bits_db(weight.bits)]
    if weight.sparsity is not None:
        least.append(-10 * np.log10(_energy_of_smallest(weight.sparsity)) - _SPARSE_OFF_DB)
    return float(min(least))


def _energy_of_smallest(share: float) -> float:
    """Which part of the sum of squares of normal numbers the smallest of them have."""
    low, high = 0.0, 8.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if erf(middle / sqrt(2)) < share else (low, middle)
    return max(1e-10, share - low * sqrt(2 / pi) * exp(-low * low / 2))


def told(least: Mapping[str, Expectation]) -> dict[str, dict[str, Any]]:
    """As the report holds it."""
    return {
        name: {"psnr_db": e.psnr_db, "peak_db": e.peak_db, "because": e.because}
        for name, e in least.items()
    }
