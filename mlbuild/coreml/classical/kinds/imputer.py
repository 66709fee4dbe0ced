"""Missing values replaced by imputed ones.

What counts as missing is what equals the model's replace value (NaN equals NaN there); without
one it is NaN, and an optional input that was not given. An array takes one imputed value for
all elements or one for each. A dictionary takes an imputed value for each key that is absent or
whose value is missing.

Source: Core ML specification, Imputer.proto.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind
from ..vectors import described_width, flat

Fill = Callable[[Any], Any]
# imputed value -> kinds of features that it fits, replace value that it goes with
_FITS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "imputedDoubleValue": (("double", "multi_array"), "replaceDoubleValue"),
    "imputedInt64Value": (("int64",), "replaceInt64Value"),
    "imputedStringValue": (("string",), "replaceStringValue"),
    "imputedDoubleArray": (("multi_array",), "replaceDoubleValue"),
    "imputedInt64Array": (("multi_array",), "replaceInt64Value"),
    "imputedStringDictionary": (("dictionary",), None),
    "imputedInt64Dictionary": (("dictionary",), None),
}


@kind("imputer")
def imputer(given: Given) -> Computation:
    """A value of the input's kind, complete."""
    params = given.params
    which, replace = params.WhichOneof("ImputedValue"), params.WhichOneof("ReplaceValue")
    if which is None:
        raise given.wrong("there is no imputed value")
    kinds, fitting = _FITS[which]
    source, target = given.one_input(*kinds), given.one_output(*kinds)
    if source.kind != target.kind:
        raise given.wrong("input and output are of different kinds", target.kind, (source.kind,))
    if replace not in (None, fitting):
        raise given.wrong("the replace value does not fit the imputed value", replace)
    missing = _missing(getattr(params, replace) if replace else math.nan)
    imputed = getattr(params, which)
    if source.kind == "multi_array":
        fill = _fill_array(given, imputed, missing, source.array.shape if source.array else ())
    elif source.kind == "dictionary":
        fill = _fill_dictionary(dict(imputed.map), missing)
    else:
        fill = _fill_single(imputed, missing)
    return Computation(lambda values: Ran({target.name: fill(values.get(source.name))}, {}))


def _missing(replaced: Any) -> Callable[[Any], Any]:
    if isinstance(replaced, float) and math.isnan(replaced):
        return lambda value: value != value  # only NaN differs from itself
    return lambda value: value == replaced


def _fill_single(imputed: Any, missing: Callable[[Any], Any]) -> Fill:
    return lambda value: imputed if value is None or missing(value) else value


def _fill_dictionary(imputed: Mapping[Any, float], missing: Callable[[Any], Any]) -> Fill:
    def fill(value: Any) -> Any:
        known = {key: number for key, number in (value or {}).items() if not missing(number)}
        kept = {key: number for key, number in (value or {}).items() if key not in imputed}
        return {**imputed, **kept, **known}

    return fill


def _fill_array(
    given: Given, imputed: Any, missing: Callable[[Any], Any], shape: tuple[int, ...]
) -> Fill:
    values = np.array(getattr(imputed, "vector", [imputed]), np.float64)
    width = described_width(given.inputs)
    if hasattr(imputed, "vector") and width is not None and len(values) != width:
        raise given.wrong("the imputed array does not fit the input", len(values), (width,))

    def fill(value: Any) -> Any:
        if value is None:
            return np.broadcast_to(values, math.prod(shape)).reshape(shape)
        vector = flat(value)
        return np.where(missing(vector), values, vector).reshape(tuple(value.shape))

    return fill
