"""Parts of the matrices that lie in the last two dimensions; the rest becomes zero.

Source: Core ML specification, NeuralNetwork.proto: MatrixBandPartLayerParams,
LowerTriangularLayerParams, UpperTriangularLayerParams.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError
from ..checks import arity
from ..layer import Given, Run, layer


def _check(given: Given, x: torch.Tensor) -> None:
    if x.dim() < 2:
        raise ExecutionError(
            "matrices were expected",
            place=given.place,
            got=f"a blob of shape {list(x.shape)}",
            allowed=("two or more dimensions",),
        )


@layer("lowerTriangular")
def lower_triangular(given: Given) -> Run:
    """What is on and below the k-th diagonal."""
    arity(given, 1)
    diagonal = given.params.k

    def run(x: torch.Tensor) -> torch.Tensor:
        _check(given, x)
        return torch.tril(x, diagonal)

    return run


@layer("upperTriangular")
def upper_triangular(given: Given) -> Run:
    """What is on and above the k-th diagonal."""
    arity(given, 1)
    diagonal = given.params.k

    def run(x: torch.Tensor) -> torch.Tensor:
        _check(given, x)
        return torch.triu(x, diagonal)

    return run


@layer("matrixBandPart")
def matrix_band_part(given: Given) -> Run:
    """What is at most numLower below and numUpper above the diagonal; negative: no limit."""
    arity(given, 1)
    lower, upper = given.params.numLower, given.params.numUpper

    def run(x: torch.Tensor) -> torch.Tensor:
        _check(given, x)
        below = torch.arange(x.shape[-2])[:, None] - torch.arange(x.shape[-1])
        inside = ((lower < 0) | (below <= lower)) & ((upper < 0) | (-below <= upper))
        return torch.where(inside, x, 0.0)

    return run
