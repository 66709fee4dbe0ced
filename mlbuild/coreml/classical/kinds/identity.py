"""A model that hands its inputs on.

Source: Core ML specification, Identity.proto.
"""

from __future__ import annotations

from ...body import Ran
from ..kind import Computation, Given, kind


@kind("identity")
def identity(given: Given) -> Computation:
    """Outputs are inputs of the same name."""
    names = {feature.name for feature in given.inputs}
    for feature in given.description.outputs:
        if feature.name not in names:
            raise given.wrong("an output that is no input", feature.name, tuple(sorted(names)))
    return Computation(lambda values: Ran(dict(values), {}))
