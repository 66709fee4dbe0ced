"""A dictionary whose keys become positions.

The output is an array with zeros for absent keys or, where it is described as a dictionary, the
same values by position. A key that the model does not know is left out: the specification asks
that there be none, and coremltools' own tests of its converter expect what scikit-learn does.

Source: Core ML specification, DictVectorizer.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...body import Ran
from ..kind import Computation, Given, kind


@kind("dictVectorizer")
def dict_vectorizer(given: Given) -> Computation:
    """An array, or a dictionary by position."""
    which = given.params.WhichOneof("Map")
    if which is None:
        raise given.wrong("there is no mapping of keys to positions")
    keys = tuple(getattr(given.params, which).vector)
    places = {key: place for place, key in enumerate(keys)}
    if len(places) != len(keys):
        raise given.wrong("a key that stands twice")
    source = given.one_input("dictionary").name
    target = given.one_output("dictionary", "multi_array")

    def run(values: Mapping[str, Any]) -> Ran:
        found = {places[key]: float(v) for key, v in values[source].items() if key in places}
        if target.array is None:
            return Ran({target.name: found}, {})
        vector = np.zeros(len(keys))
        vector[list(found)] = list(found.values())
        return Ran({target.name: vector}, {})

    return Computation(run)
