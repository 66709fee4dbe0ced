"""Arithmetic on two blobs that are broadcast as numpy does.

Source: Core ML specification, NeuralNetwork.proto: AddBroadcastableLayerParams to
PowBroadcastableLayerParams. A remainder has the sign of the divisor, as floor division wants it.
"""

from __future__ import annotations

from math import prod

import torch

from ...limits import demand
from ..checks import arity
from ..layer import Given, Run, layer


def _floor_divide(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.div(x, y, rounding_mode="floor")


_FUNCTIONS: dict[str, Run] = {
    "addBroadcastable": torch.add,
    "subtractBroadcastable": torch.sub,
    "multiplyBroadcastable": torch.mul,
    "divideBroadcastable": torch.div,
    "floorDivBroadcastable": _floor_divide,
    "modBroadcastable": torch.remainder,
    "powBroadcastable": torch.pow,
    "maxBroadcastable": torch.maximum,
    "minBroadcastable": torch.minimum,
}


@layer(*_FUNCTIONS)
def binary_nd(given: Given) -> Run:
    """One function of two blobs, named by the layer's type."""
    arity(given, 2)
    function, place = _FUNCTIONS[given.message.WhichOneof("layer")], given.place

    def run(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if x.shape != y.shape:  # a column and a row can make a blob that no machine holds
            demand(4 * prod(torch.broadcast_shapes(x.shape, y.shape)), place)
        return function(x, y)

    return run
