"""A border of one value.

Source: Core ML specification, NeuralNetwork.proto: ConstantPaddingLayerParams.
"""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from ...errors import ExecutionError
from ..checks import arity, checked_shape, integers
from ..layer import Given, Run, layer


@layer("constantPad")
def constant_pad(given: Given) -> Run:
    """Amounts before and after each dimension, or the sizes that are to be reached."""
    dynamic = arity(given, 1, 2) == 2
    params = given.params
    fixed, to_size, value = list(params.padAmounts), params.padToGivenOutputSizeMode, params.value

    def run(x: torch.Tensor, *given_amounts: torch.Tensor) -> torch.Tensor:
        amounts = integers(given, given_amounts[0]) if dynamic else fixed
        if len(amounts) != 2 * x.dim() or min(amounts) < 0:
            raise ExecutionError(
                f"amounts that do not fit a blob of shape {list(x.shape)}",
                place=given.place,
                got=str(amounts),
                allowed=(f"{2 * x.dim()} numbers of 0 or more",),
            )
        pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
        if to_size:
            pairs = [_missing(given, int(s), *p) for s, p in zip(x.shape, pairs, strict=True)]
        checked_shape(given, [s + sum(p) for s, p in zip(x.shape, pairs, strict=True)])
        # torch begins with the last dimension
        return pad(x, [n for pair in reversed(pairs) for n in pair], value=value)

    return run


def _missing(given: Given, size: int, before: int, after: int) -> tuple[int, int]:
    """How much reaches a size that is given on one side."""
    if before and after:
        raise ExecutionError(
            "an output size is given on both sides of a dimension",
            place=given.place,
            got=f"{before}, {after}",
        )
    return (max(before - size, 0), 0) if before else (0, max(after - size, 0))
