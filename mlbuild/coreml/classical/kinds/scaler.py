"""scale * (x + shift), elementwise or by one value for all.

Integers are scaled as doubles; an integer output that is not whole is an error.

Source: Core ML specification, Scaler.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ...errors import ExecutionError
from ..kind import Computation, Given, kind
from ..vectors import described_width, flat


@kind("scaler")
def scaler(given: Given) -> Computation:
    """A number or an array of the input's shape."""
    source = given.one_input("int64", "double", "multi_array")
    target = given.one_output("int64", "double", "multi_array")
    if (source.array is None) != (target.array is None):
        raise given.wrong("input and output are not both arrays or both numbers")
    width = described_width((source,))
    shift = _factors(given, "shiftValue", width, 0.0)
    scale = _factors(given, "scaleValue", width, 1.0)

    def run(values: Mapping[str, Any]) -> Ran:
        value = values[source.name]
        scaled = scale * (flat(value) + shift)
        if target.kind == "int64" and scaled[0] != np.floor(scaled[0]):
            raise ExecutionError(
                "the scaled number is not whole",
                place=f"output '{target.name}'",
                got=str(scaled[0]),
            )
        return Ran({target.name: scaled.reshape(np.shape(value))}, {})

    return Computation(run)


def _factors(given: Given, field: str, width: int | None, default: float) -> Any:
    values = np.array(getattr(given.params, field) or [default], np.float64)
    if len(values) != 1 and width is not None and len(values) != width:
        raise given.wrong(f"{field} does not fit the input", len(values), (0, 1, width))
    return values
