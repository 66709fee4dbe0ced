"""A vector divided by its norm: the greatest element, the sum of absolute values, or Euclid's.

The first is max(x_i) to the letter: of a vector with negative elements it is not the greatest
absolute value, which today's scikit-learn means by the same name. A norm of zero changes
nothing.

Source: Core ML specification, Normalizer.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..vectors import flat

_NORMS: dict[int, Callable[[Any], Any]] = {
    0: lambda x: x.max() if x.size else 0.0,
    1: lambda x: np.abs(x).sum(),
    2: lambda x: np.sqrt((x**2).sum()),
}


@kind("normalizer")
def normalizer(given: Given) -> Computation:
    """An array of the input's shape."""
    source = given.one_input("multi_array").name
    target = given.one_output("multi_array").name
    norm = _NORMS.get(given.params.normType)
    if norm is None:
        raise given.wrong("unknown norm", given.params.normType, tuple(_NORMS))

    def run(values: Mapping[str, Any]) -> Ran:
        vector = flat(values[source])
        length = norm(vector)
        scaled = vector / length if length != 0 else vector
        return Ran({target: scaled.reshape(tuple(values[source].shape))}, {})

    return Computation(run)
