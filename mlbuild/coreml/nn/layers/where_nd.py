"""Choosing elements by a condition.

Source: Core ML specification, NeuralNetwork.proto: WhereBroadcastableLayerParams,
WhereNonZeroLayerParams.
"""

from __future__ import annotations

import torch

from ..checks import arity
from ..layer import Given, Run, layer


@layer("whereBroadcastable")
def where_broadcastable(given: Given) -> Run:
    """X where the condition is not zero, y elsewhere; all three are broadcast."""
    arity(given, 3)
    return lambda condition, x, y: torch.where(condition != 0, x, y)


@layer("whereNonZero")
def where_non_zero(given: Given) -> Run:
    """The places of all elements that are not zero, in row-major order: [N, rank]."""
    arity(given, 1)
    return lambda x: torch.nonzero(x).float()
