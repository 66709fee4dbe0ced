"""Products of matrices, with another blob or with weights.

Source: Core ML specification, NeuralNetwork.proto: BatchedMatMulLayerParams. It says that
``int8DynamicQuantize`` brings the input to 8 bits while the model runs, but not over which range:
here it is that of the largest magnitude in the blob, without an offset, as for the weights.
"""

from __future__ import annotations

from math import prod

import torch
from torch.nn.functional import linear

from ...errors import ExecutionError
from ...limits import demand
from ..checks import arity
from ..layer import Given, Run, layer


@layer("batchedMatmul")
def batched_matmul(given: Given) -> Run:
    """Two blobs, [..., m, k] by [..., k, n], or one blob by a matrix of weights."""
    return _of_two(given) if arity(given, 1, 2) == 2 else _by_weights(given)


def _of_two(given: Given) -> Run:
    params, place = given.params, given.place
    transpose_a, transpose_b = params.transposeA, params.transposeB

    def run(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a = a[None] if a.dim() == 1 else a
        b = b[:, None] if b.dim() == 1 else b
        a = a.mT if transpose_a else a
        b = b.mT if transpose_b else b
        if a.shape[-1] != b.shape[-2]:
            raise ExecutionError(
                "matrices whose inner dimensions differ",
                place=place,
                got=f"{list(a.shape)} by {list(b.shape)}, after transposing",
            )
        batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        demand(4 * prod(batch) * a.shape[-2] * b.shape[-1], place)
        return torch.matmul(a, b)

    return run


def _by_weights(given: Given) -> Run:
    params = given.params
    rows, columns = params.weightMatrixFirstDimension, params.weightMatrixSecondDimension
    weights = given.weight("weights", (columns, rows))  # stored column by column
    bias = given.weight("bias", (columns,)) if params.hasBias else None
    dynamic = params.int8DynamicQuantize

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] != rows:
            raise ExecutionError(
                "the last dimension does not fit the weights",
                place=given.place,
                got=f"a blob of shape {list(x.shape)}",
                allowed=(f"[..., {rows}]",),
            )
        return linear(through_int8(x) if dynamic else x, weights, bias)

    return run


def through_int8(x: torch.Tensor) -> torch.Tensor:
    """What is left of a blob that was quantized to -127..127 and back."""
    if not x.numel():
        return x
    step = x.detach().abs().max() / 127
    return torch.where(step > 0, torch.round(x / step) * step, x)
