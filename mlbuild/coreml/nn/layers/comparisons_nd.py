"""Comparisons and logic: 1 where it holds, 0 elsewhere.

Source: Core ML specification, NeuralNetwork.proto: EqualLayerParams to LogicalAndLayerParams.
Two blobs are broadcast; a single one is compared with ``alpha``. All but zero counts as true.
"""

from __future__ import annotations

import torch

from ..checks import arity
from ..layer import Given, Run, layer

_COMPARISONS: dict[str, Run] = {
    "equal": torch.eq,
    "notEqual": torch.ne,
    "lessThan": torch.lt,
    "lessEqual": torch.le,
    "greaterThan": torch.gt,
    "greaterEqual": torch.ge,
}
_LOGIC: dict[str, Run] = {
    "logicalAnd": torch.logical_and,
    "logicalOr": torch.logical_or,
    "logicalXor": torch.logical_xor,
}


@layer(*_COMPARISONS)
def comparison(given: Given) -> Run:
    """A comparison of two blobs, or of one with alpha."""
    compare = _COMPARISONS[given.message.WhichOneof("layer")]
    if arity(given, 1, 2) == 2:
        return lambda x, y: compare(x, y).float()
    alpha = torch.tensor(given.params.alpha, dtype=torch.float32)
    return lambda x: compare(x, alpha).float()


@layer(*_LOGIC)
def logical(given: Given) -> Run:
    """And, or, exclusive or of two blobs."""
    arity(given, 2)
    combine = _LOGIC[given.message.WhichOneof("layer")]
    return lambda x, y: combine(x, y).float()


@layer("logicalNot")
def logical_not(given: Given) -> Run:
    """1 where x is zero."""
    arity(given, 1)
    return lambda x: torch.logical_not(x).float()
