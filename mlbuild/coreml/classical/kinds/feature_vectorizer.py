"""Several features one behind the other in one array.

A dictionary with integer keys fills its part sparsely, by position from zero.

Source: Core ML specification, FeatureVectorizer.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ...errors import InputError
from ...limits import demand
from ..kind import Computation, Given, kind
from ..vectors import described_width, flat

_KINDS = ("int64", "double", "multi_array", "dictionary")


@kind("featureVectorizer")
def feature_vectorizer(given: Given) -> Computation:
    """An array of as many elements as the columns have dimensions."""
    target = given.one_output("multi_array").name
    inputs = {feature.name: feature for feature in given.inputs}
    columns = [(item.inputColumn, int(item.inputDimensions)) for item in given.params.inputList]
    for name, size in columns:
        feature = inputs.get(name)
        if feature is None or feature.kind not in _KINDS:
            got = "no such input" if feature is None else str(feature)
            raise given.wrong(f"column '{name}' is not a fitting input", got, _KINDS)
        width = None if feature.kind == "dictionary" else described_width((feature,))
        if size < 1 or (width is not None and width != size):
            raise given.wrong(f"column '{name}' has the wrong dimensions", size, (width or "1..",))

    def run(values: Mapping[str, Any]) -> Ran:
        demand(8 * sum(size for _, size in columns), given.type)
        parts = [_column(name, size, values.get(name)) for name, size in columns]
        return Ran({target: np.concatenate(parts or [np.zeros(0)])}, {})

    return Computation(run)


def _column(name: str, size: int, value: Any) -> Any:
    place = f"input '{name}'"
    if value is None:
        return np.full(size, np.nan)
    if not isinstance(value, Mapping):
        vector = flat(value)
        if len(vector) != size:
            raise InputError(
                "the wrong number of elements",
                place=place,
                got=str(len(vector)),
                allowed=[str(size)],
            )
        return vector
    column = np.zeros(size)
    for key, number in value.items():
        if not isinstance(key, int) or not 0 <= key < size:
            raise InputError(
                "a key that is no position in its column",
                place=place,
                got=repr(key),
                allowed=(f"0 to {size - 1}",),
            )
        column[key] = number
    return column
