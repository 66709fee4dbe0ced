"""Another order of dimensions or of the elements along them.

Source: Core ML specification, NeuralNetwork.proto: TransposeLayerParams, ReverseLayerParams,
ReverseSeqLayerParams.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError, ModelFileError
from ..checks import arity, axis_of, integers
from ..layer import Given, Run, layer


def _check_rank(given: Given, x: torch.Tensor, rank: int) -> None:
    if x.dim() != rank:
        raise ExecutionError(
            "a blob of another number of dimensions than the parameters",
            place=given.place,
            got=f"shape {list(x.shape)}",
            allowed=(f"{rank} dimensions",),
        )


@layer("transpose")
def transpose(given: Given) -> Run:
    """Dimension i of the result is dimension axes[i] of the blob."""
    arity(given, 1)
    axes = list(given.params.axes)
    if sorted(axes) != list(range(len(axes))):
        raise ModelFileError(
            "axes that are no permutation",
            place=given.place,
            got=str(axes),
            allowed=(f"each of 0 to {len(axes) - 1} once",),
        )

    def run(x: torch.Tensor) -> torch.Tensor:
        _check_rank(given, x, len(axes))
        return x.permute(axes)

    return run


@layer("reverse")
def reverse(given: Given) -> Run:
    """The order reversed along the dimensions that are marked."""
    arity(given, 1)
    marks = list(given.params.reverseDim)

    def run(x: torch.Tensor) -> torch.Tensor:
        _check_rank(given, x, len(marks))
        return torch.flip(x, [i for i, mark in enumerate(marks) if mark])

    return run


@layer("reverseSeq")
def reverse_seq(given: Given) -> Run:
    """For each element of the batch, its first elements along an axis reversed, length many."""
    arity(given, 2)
    params = given.params

    def run(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        batch = axis_of(given, params.batchAxis, x.dim())
        along = axis_of(given, params.sequenceAxis, x.dim())
        size, count = int(x.shape[along]), int(x.shape[batch])
        known = integers(given, lengths)
        if batch == along or len(known) != count or not all(0 <= n <= size for n in known):
            raise ExecutionError(
                f"lengths that do not fit a blob of shape {list(x.shape)}",
                place=given.place,
                got=f"{known} for axis {along}, batch axis {batch}",
                allowed=(f"{count} lengths of 0 to {size}, along another axis",),
            )
        steps = torch.arange(size)
        ends = torch.tensor(known, dtype=torch.long)[:, None]
        order = torch.where(steps < ends, ends - 1 - steps, steps)  # [batch, sequence]
        order = order if batch < along else order.t()
        shape = [1] * x.dim()
        shape[batch], shape[along] = count, size
        return torch.gather(x, along, order.reshape(shape).expand(x.shape))

    return run
