"""Layers that move elements about: reshape, flatten, permute, concat, split, and siblings.

Source: Core ML specification, NeuralNetwork.proto, ReshapeLayerParams, FlattenLayerParams,
PermuteLayerParams, ConcatLayerParams, SplitLayerParams, SequenceRepeatLayerParams,
SliceLayerParams, CopyLayerParams.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...limits import demand
from ..checks import arity
from ..layer import Given, Run, layer

_SEQUENCE, _CHANNEL = -5, -3
_CHANNEL_LAST = 1
_SLICE_AXES = (-3, -2, -1)


@layer("reshape")
def reshape(given: Given) -> Run:
    """[S, B, C, H, W] to another [C, H, W], or to another [S, C, H, W] within each batch."""
    arity(given, 1)
    target = [int(n) for n in given.params.targetShape]
    last = given.params.mode == _CHANNEL_LAST
    if len(target) not in (3, 4):
        raise ValueError(f"a target shape has three or four elements, not {len(target)}")

    def run(x: torch.Tensor) -> torch.Tensor:
        _five(x)
        sequence, batch = x.shape[:2]
        by_batch = x.transpose(0, 1)
        if last:
            by_batch = by_batch.movedim(-3, -1)
        *lead, channels, height, width = target if len(target) == 4 else [sequence, *target]
        inner = (height, width, channels) if last else (channels, height, width)
        made = by_batch.reshape(batch, *lead, *inner)
        return (made.movedim(-1, -3) if last else made).transpose(0, 1)

    return run


@layer("flatten")
def flatten(given: Given) -> Run:
    """[..., C, H, W] to [..., C H W, 1, 1]."""
    arity(given, 1)
    last = given.params.mode == _CHANNEL_LAST
    return lambda x: (x.movedim(-3, -1) if last else x).flatten(-3)[..., None, None]


@layer("permute")
def permute(given: Given) -> Run:
    """Permute S, C, H and W; the batch stays."""
    arity(given, 1)
    axes = [int(n) for n in given.params.axis] or [0, 1, 2, 3]
    if sorted(axes) != [0, 1, 2, 3]:
        raise ValueError(f"{axes} is no permutation of [0, 1, 2, 3]")
    sequence, *rest = ((0, 2, 3, 4)[axis] for axis in axes)
    return lambda x: _five(x).permute(sequence, 1, *rest)


@layer("concat")
def concat(given: Given) -> Run:
    """Put the inputs one after the other, along the channels or the sequence."""
    arity(given, 1, -1)
    axis = _SEQUENCE if given.params.sequenceConcat else _CHANNEL
    return lambda *blobs: torch.cat(blobs, axis)


@layer("split")
def split(given: Given) -> Run:
    """Equal parts along the channels."""
    arity(given, 1, outputs=-1)
    count = int(given.params.nOutputs) or len(given.message.output)

    def run(x: torch.Tensor) -> Sequence[torch.Tensor]:
        if x.shape[_CHANNEL] % count:
            raise ValueError(f"{x.shape[_CHANNEL]} channels have no {count} equal parts")
        parts: Sequence[torch.Tensor] = x.chunk(count, _CHANNEL)
        return parts

    return run


@layer("sequenceRepeat")
def sequence_repeat(given: Given) -> Run:
    """The whole sequence several times."""
    arity(given, 1)
    times = int(given.params.nRepetitions) or 1

    def run(x: torch.Tensor) -> torch.Tensor:
        demand(x.nbytes * times)
        return x.repeat(times, *[1] * (_five(x).dim() - 1))

    return run


@layer("slice")
def slice_axis(given: Given) -> Run:
    """Every stride-th element from start to end along one axis; negative ones count from behind."""
    arity(given, 1)
    params = given.params
    part = slice(int(params.startIndex), int(params.endIndex), int(params.stride) or 1)
    rest = (slice(None),) * (-1 - _SLICE_AXES[params.axis])
    return lambda x: x[(..., part, *rest)]


def _five(x: torch.Tensor) -> torch.Tensor:
    if x.dim() != 5:
        raise ValueError(f"a blob of five dimensions is needed, not {x.dim()}")
    return x
