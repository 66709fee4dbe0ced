"""A category as an array of zeros with a single one, or as a dictionary {position: 1}.

Source: Core ML specification, OneHotEncoder.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ...errors import InputError
from ..kind import Computation, Given, kind

_ERROR_ON_UNKNOWN = 0


@kind("oneHotEncoder")
def one_hot(given: Given) -> Computation:
    """Unknown categories are an error, or all zeros (an empty dictionary), as the model says."""
    params = given.params
    which = params.WhichOneof("CategoryType")
    if which is None:
        raise given.wrong("there are no categories")
    categories = tuple(getattr(params, which).vector)
    places = {category: place for place, category in enumerate(categories)}
    if len(places) != len(categories):
        raise given.wrong("a category that stands twice")
    source = given.one_input("string" if which == "stringCategories" else "int64").name
    target = given.one_output("dictionary" if params.outputSparse else "multi_array").name

    def run(values: Mapping[str, Any]) -> Ran:
        category = values.get(source)
        place = places.get(category)
        if place is None and params.handleUnknown == _ERROR_ON_UNKNOWN:
            raise InputError(
                "an unknown category",
                place=f"input '{source}'",
                got=repr(category),
                allowed=[repr(item) for item in categories[:20]],
            )
        if params.outputSparse:
            return Ran({target: {} if place is None else {place: 1.0}}, {})
        encoded = np.zeros(len(categories))
        if place is not None:
            encoded[place] = 1.0
        return Ran({target: encoded}, {})

    return Computation(run)
