"""Putting blobs together, repeating one, and taking one apart.

Source: Core ML specification, NeuralNetwork.proto: StackLayerParams, ConcatNDLayerParams,
TileLayerParams, SplitNDLayerParams.
"""

from __future__ import annotations

import torch

from ...errors import ExecutionError, ModelFileError
from ..checks import arity, axis_of, checked_shape, integers
from ..layer import Given, Run, layer


def _check(given: Given, blobs: tuple[torch.Tensor, ...], axis: int | None) -> None:
    """All dimensions agree, but for one axis."""
    shapes = [[s for i, s in enumerate(b.shape) if i != axis] for b in blobs]
    if any(shape != shapes[0] for shape in shapes) or len({b.dim() for b in blobs}) != 1:
        raise ExecutionError(
            "blobs whose shapes differ",
            place=given.place,
            got=", ".join(str(list(b.shape)) for b in blobs),
        )


@layer("stack")
def stack(given: Given) -> Run:
    """Blobs of one shape along a new axis."""
    arity(given, 2, -1)
    axis = given.params.axis

    def run(*blobs: torch.Tensor) -> torch.Tensor:
        _check(given, blobs, None)
        return torch.stack(blobs, axis_of(given, axis, blobs[0].dim() + 1))

    return run


@layer("concatND")
def concat_nd(given: Given) -> Run:
    """Blobs one behind the other along an axis, or with their elements in turn."""
    arity(given, 2, -1)
    axis, interleave = given.params.axis, given.params.interleave

    def run(*blobs: torch.Tensor) -> torch.Tensor:
        # One number, as a slice without dimensions leaves it, is a blob of one element here.
        blobs = tuple(b.reshape(1) if b.dim() == 0 else b for b in blobs)
        along = axis_of(given, axis, blobs[0].dim())
        if not interleave:
            _check(given, blobs, along)
            return torch.cat(blobs, along)
        _check(given, blobs, None)
        return torch.stack(blobs, along + 1).flatten(along, along + 1)

    return run


@layer("tile")
def tile(given: Given) -> Run:
    """A blob repeated along its last dimensions, one number for each."""
    dynamic = arity(given, 1, 2) == 2
    fixed = list(given.params.reps)
    if not dynamic and not fixed:
        raise ModelFileError("no repetitions are given", place=given.place)

    def run(x: torch.Tensor, *counts: torch.Tensor) -> torch.Tensor:
        times = integers(given, counts[0]) if dynamic else fixed
        if len(times) > x.dim() or any(n < 0 for n in times):
            raise ExecutionError(
                f"repetitions that do not fit a blob of shape {list(x.shape)}",
                place=given.place,
                got=str(times),
            )
        times = [1] * (x.dim() - len(times)) + times
        checked_shape(given, [s * n for s, n in zip(x.shape, times, strict=True)])
        return x.repeat(times)

    return run


@layer("splitND")
def split_nd(given: Given) -> Run:
    """A blob in parts along an axis: of the given sizes, or as equal as they can be.

    Where the dimension is no multiple of their number, the first parts are larger by one: the
    specification speaks of uneven parts, and numpy.array_split divides so.
    """
    arity(given, 1, outputs=-2)
    params = given.params
    count, outputs = len(params.splitSizes) or params.numSplits, len(given.message.output)
    if count != outputs:
        raise ModelFileError(
            "as many parts as outputs were expected",
            place=given.place,
            got=f"{count} parts, {outputs} outputs",
        )

    def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        axis = axis_of(given, params.axis, x.dim())
        size = int(x.shape[axis])
        sizes = list(params.splitSizes) or [(size + n) // count for n in reversed(range(count))]
        if sum(sizes) != size:
            raise ExecutionError(
                f"a dimension of {size} cannot be split so",
                place=given.place,
                got=str(sizes),
            )
        return tuple(torch.split(x, sizes, axis))

    return run
