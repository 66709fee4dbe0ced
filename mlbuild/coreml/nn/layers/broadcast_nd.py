"""Repeating a blob to a larger shape, as numpy's rules allow.

Source: Core ML specification, NeuralNetwork.proto: BroadcastToLikeLayerParams,
BroadcastToStaticLayerParams, BroadcastToDynamicLayerParams.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...errors import ExecutionError
from ..checks import arity, checked_shape, integers
from ..layer import Given, Run, layer


def _broadcast(given: Given, x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    target = checked_shape(given, shape)
    fits = x.dim() <= len(target) and all(
        size in (1, wanted) for size, wanted in zip(x.shape[::-1], target[::-1], strict=False)
    )
    if not fits:
        raise ExecutionError(
            f"a blob that cannot be broadcast to {target}",
            place=given.place,
            got=f"shape {list(x.shape)}",
        )
    return x.expand(target)


@layer("broadcastToLike")
def broadcast_to_like(given: Given) -> Run:
    """The first blob in the shape of the second."""
    arity(given, 2)
    return lambda x, like: _broadcast(given, x, like.shape)


@layer("broadcastToStatic")
def broadcast_to_static(given: Given) -> Run:
    """A blob in a given shape."""
    arity(given, 1)
    shape = list(given.params.targetShape)
    return lambda x: _broadcast(given, x, shape)


@layer("broadcastToDynamic")
def broadcast_to_dynamic(given: Given) -> Run:
    """The first blob in the shape that the values of the second name."""
    arity(given, 2)
    return lambda x, shape: _broadcast(given, x, integers(given, shape))
