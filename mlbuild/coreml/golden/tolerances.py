"""How far Core ML may lie from the reference runtime, and why.

A self-test carries a copy of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the copy has none
    from ..description import Description


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The least PSNR of an output, dB, with its reason."""

    psnr_db: float
    reason: str


# Apple's guide values for a conversion are 70 dB (float32) and 50 dB (float16), to be looked into
# below 60 and 40. Between Core ML and reference semantics stand the same differences of rounding.
_FLOAT32 = Tolerance(60, "float32 on the CPU: sums in another order, vectorized functions")
_HALF = Tolerance(
    40, "float16: units round in other places and accumulate in float16 or float32 as they like"
)
_NETWORK_CPU = Tolerance(60, "a NeuralNetwork on the CPU is computed in float32")
_CLASSICAL = Tolerance(80, "classical models are computed in double precision")
# Scores closer than this may change places: float16 holds three decimal digits.
TIE = 5e-3


def tolerance(description: Description, unit: str, half: bool) -> Tolerance:
    """What holds for a model on a compute unit.

    Args:
        description: The model's.
        unit: CPU_ONLY, CPU_AND_GPU, CPU_AND_NE or ALL.
        half: Whether the model declares float16 values.
    """
    if description.type == "mlProgram":
        return _HALF if half else _FLOAT32
    if description.type.startswith("neuralNetwork"):
        return _NETWORK_CPU if unit == "CPU_ONLY" else _HALF
    if description.type.startswith("pipeline"):
        return _HALF
    return _CLASSICAL
