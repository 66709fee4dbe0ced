"""Another shape for the same elements.

Source: Core ML specification, NeuralNetwork.proto: ReshapeLikeLayerParams,
ReshapeStaticLayerParams, ReshapeDynamicLayerParams, RankPreservingReshapeLayerParams,
FlattenTo2DLayerParams, ExpandDimsLayerParams, SqueezeLayerParams. One dimension may be -1 and
follows from the others; 0 keeps a dimension only in a rank preserving reshape.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from ...errors import ExecutionError
from ..checks import arity, at_least_one, axes_of, axis_of, integers
from ..layer import Given, Run, layer


def _reshape(given: Given, x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    target = [int(size) for size in shape]
    free = target.count(-1)
    known = prod(size for size in target if size != -1)
    fits = x.numel() == known if not free else known > 0 and x.numel() % known == 0
    if free > 1 or min(target, default=1) < -1 or not fits:
        raise ExecutionError(
            f"a blob that cannot be reshaped to {target}",
            place=given.place,
            got=f"shape {list(x.shape)}",
        )
    return at_least_one(x.reshape(target))


@layer("reshapeStatic")
def reshape_static(given: Given) -> Run:
    """A given shape."""
    arity(given, 1)
    shape = list(given.params.targetShape)
    return lambda x: _reshape(given, x, shape)


@layer("reshapeLike")
def reshape_like(given: Given) -> Run:
    """The shape of the second blob."""
    arity(given, 2)
    return lambda x, like: _reshape(given, x, like.shape)


@layer("reshapeDynamic")
def reshape_dynamic(given: Given) -> Run:
    """The shape that the values of the second blob name."""
    arity(given, 2)
    return lambda x, shape: _reshape(given, x, integers(given, shape))


@layer("rankPreservingReshape")
def rank_preserving_reshape(given: Given) -> Run:
    """A given shape of as many dimensions, where 0 stands for the one that was there."""
    arity(given, 1)
    shape = list(given.params.targetShape)

    def run(x: torch.Tensor) -> torch.Tensor:
        if len(shape) != x.dim():
            raise ExecutionError(
                "a blob of another number of dimensions than the shape",
                place=given.place,
                got=f"shape {list(x.shape)} for {shape}",
            )
        return _reshape(given, x, [s or int(x.shape[i]) for i, s in enumerate(shape)])

    return run


@layer("flattenTo2D")
def flatten_to_2d(given: Given) -> Run:
    """[product of the dimensions before the axis, product of the others]."""
    arity(given, 1)
    axis = given.params.axis

    def run(x: torch.Tensor) -> torch.Tensor:
        split = x.dim() if axis == x.dim() else axis_of(given, axis, x.dim())
        return x.reshape(prod(x.shape[:split]), prod(x.shape[split:]))

    return run


@layer("expandDims")
def expand_dims(given: Given) -> Run:
    """New dimensions of size 1, at their places in the result."""
    arity(given, 1)
    axes = list(given.params.axes)

    def run(x: torch.Tensor) -> torch.Tensor:
        for axis in sorted(axes_of(given, axes, x.dim() + len(axes))):
            x = x.unsqueeze(axis)
        return x

    return run


@layer("squeeze")
def squeeze(given: Given) -> Run:
    """Without the named dimensions, or all, of size 1; one dimension always stays."""
    arity(given, 1)
    axes, every = list(given.params.axes), given.params.squeezeAll

    def run(x: torch.Tensor) -> torch.Tensor:
        if every:
            return at_least_one(x.squeeze())
        gone = axes_of(given, axes, x.dim())
        if any(x.shape[axis] != 1 for axis in gone):
            raise ExecutionError(
                f"the dimensions {gone} are not all 1",
                place=given.place,
                got=f"a blob of shape {list(x.shape)}",
            )
        return x.reshape([s for i, s in enumerate(x.shape) if i not in gone] or [1])

    return run
