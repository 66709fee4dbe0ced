"""Maximum, average and L2 pooling over height and width.

Source: Core ML specification, NeuralNetwork.proto, PoolingLayerParams, ValidPadding, SamePadding
and ValidCompletePadding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer
from ..windows import Pairs, add_border, borders, pair, same_padding

_MAX, _AVERAGE, _L2 = 0, 1, 2


@layer("pooling")
def pooling(given: Given) -> Run:
    """Pool the last two dimensions; all before them are a batch."""
    arity(given, 1)
    params = given.params

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.dim() < 2:
            raise ValueError(f"a blob of at least two dimensions is needed, not {x.dim()}")
        images = x.reshape(1, -1, *x.shape[-2:])
        made = _whole(images, params.type) if params.globalPooling else _pool(images, params)
        return made.reshape(*x.shape[:-2], *made.shape[-2:])

    return run


def _whole(x: torch.Tensor, kind: int) -> torch.Tensor:
    if kind == _MAX:
        return x.amax((-2, -1), keepdim=True)
    if kind == _AVERAGE:
        return x.mean((-2, -1), keepdim=True)
    return x.square().sum((-2, -1), keepdim=True).sqrt()


def _pool(x: torch.Tensor, params: Any) -> torch.Tensor:
    kernel, strides = pair(params.kernelSize, 3), pair(params.stride, 1)
    sizes = [int(n) for n in x.shape[2:]]
    pairs, beyond = _padding(params, sizes, kernel, strides)
    whole = [(before, after + more) for (before, after), more in zip(pairs, beyond, strict=True)]
    if params.type == _MAX:  # padding never wins
        return functional.max_pool2d(add_border(x, whole, float("-inf")), kernel, strides)
    if params.type == _L2:
        mean = functional.avg_pool2d(add_border(x.square(), whole), kernel, strides)
        return (mean * (kernel[0] * kernel[1])).sqrt()
    mean = functional.avg_pool2d(add_border(x, whole), kernel, strides)
    counted = torch.ones(1, 1, *sizes)
    if not params.avgPoolExcludePadding:
        counted = add_border(counted, pairs, 1.0)
        pairs = [(0, 0)] * 2
    counted = add_border(counted, [(b, a + m) for (b, a), m in zip(pairs, beyond, strict=True)])
    return mean / functional.avg_pool2d(counted, kernel, strides)


def _padding(
    params: Any, sizes: list[int], kernel: list[int], strides: list[int]
) -> tuple[Pairs, list[int]]:
    """Before and after each dimension; and what the last window reaches beyond that."""
    kind = params.WhichOneof("PoolingPaddingType")
    if kind == "same":
        heavy = params.same.asymmetryMode == 1
        return same_padding(sizes, kernel, strides, heavy), [0, 0]
    if kind != "includeLastPixel":
        return borders(params.valid.paddingAmounts), [0, 0]
    amounts = pair(params.includeLastPixel.paddingAmounts, 0)
    beyond = []
    for size, k, stride, amount in zip(sizes, kernel, strides, amounts, strict=True):
        windows = -(-(size + 2 * amount - k) // stride) + 1
        if any(amounts) and (windows - 1) * stride >= size + amount:
            windows -= 1  # the last one would lie in the padding alone
        beyond.append((windows - 1) * stride + k - size - 2 * amount)
    return [(amount, amount) for amount in amounts], beyond
