"""Elements of an array, by position.

Positions count the elements of the whole array, row by row. An integer output takes the whole
part of its element.

Source: Core ML specification, ArrayFeatureExtractor.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..vectors import described_width, flat


@kind("arrayFeatureExtractor")
def array_feature_extractor(given: Given) -> Computation:
    """One number, or an array of as many elements as there are positions."""
    source = given.one_input("multi_array")
    target = given.one_output("int64", "double", "multi_array")
    positions = list(given.params.extractIndex)
    width = described_width((source,))
    for position in positions:
        if position >= (2**31 if width is None else width):
            allowed = () if width is None else (f"0 to {width - 1}",)
            raise given.wrong("a position that the input has not", position, allowed)
    if not positions or (target.array is None and len(positions) != 1):
        raise given.wrong("the number of positions does not fit the output", len(positions))
    indices = np.array(positions, np.int64)
    return Computation(lambda values: _extract(source.name, target.name, indices, values))


def _extract(source: str, target: str, indices: Any, values: Mapping[str, Any]) -> Ran:
    return Ran({target: flat(values[source])[indices]}, {})
