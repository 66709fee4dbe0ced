"""Cutting parts out of a blob.

Source: Core ML specification, NeuralNetwork.proto: SliceStaticLayerParams,
SliceDynamicLayerParams, SliceBySizeLayerParams, SlidingWindowsLayerParams. Bounds are Python's:
negative ones count from the end, those beyond it are brought back, a masked one is left out.
A slice whose dimensions are all squeezed has none left: coremltools 9.0, TestRank0ExpandDimsSwap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...errors import ExecutionError, ModelFileError
from ..checks import arity, at_least_one, axis_of, checked_shape, integers, whole
from ..layer import Given, Run, layer


@dataclass(frozen=True, slots=True)
class _Bounds:
    """One list for each field, an element for each dimension."""

    begin: list[int]
    end: list[int]
    strides: list[int]
    begin_masks: list[int]
    end_masks: list[int]
    squeeze_masks: list[int]


def _cut(given: Given, x: torch.Tensor, bounds: _Bounds) -> torch.Tensor:
    kept = []
    for axis, size in enumerate(tuple(x.shape)):
        if bounds.squeeze_masks[axis]:
            x = x.narrow(axis, _inside(given, bounds.begin[axis], size), 1)
            continue
        kept.append(axis)
        stride = bounds.strides[axis]
        if stride == 0:
            raise ExecutionError("a stride of 0", place=given.place, got=str(bounds.strides))
        begin = None if bounds.begin_masks[axis] else bounds.begin[axis]
        end = None if bounds.end_masks[axis] else bounds.end[axis]
        places = range(*slice(begin, end, stride).indices(size))
        if stride > 0:
            x = x[(slice(None),) * axis + (slice(places.start, places.stop, stride),)]
        else:  # torch has no negative strides
            x = x.index_select(axis, torch.tensor(places, dtype=torch.long))
    return x.reshape([x.shape[axis] for axis in kept])


def _inside(given: Given, index: int, size: int) -> int:
    if not -size <= index < size:
        raise ExecutionError(
            "an index outside of the blob",
            place=given.place,
            got=str(index),
            allowed=(f"{-size} to {size - 1}",),
        )
    return index % size


def _sized(given: Given, values: list[int], rank: int, what: str) -> list[int]:
    if len(values) < rank:
        raise ExecutionError(
            f"too few {what} for the blob",
            place=given.place,
            got=str(len(values)),
            allowed=(str(rank),),
        )
    return values[:rank]  # coremltools writes five of a default, whatever the rank


@layer("sliceStatic")
def slice_static(given: Given) -> Run:
    """begin:end:stride in each dimension; only begin where the dimension is squeezed."""
    arity(given, 1)
    params = given.params
    fields = (params.beginIds, params.endIds, params.strides, params.beginMasks, params.endMasks)
    rank = len(params.beginIds)
    if any(len(field) != rank for field in fields) or len(params.squeezeMasks) not in (0, rank):
        raise ModelFileError(
            "slices whose fields differ in length",
            place=given.place,
            got=", ".join(str(len(field)) for field in (*fields, params.squeezeMasks)),
        )
    lists = [list(field) for field in (*fields, params.squeezeMasks or [False] * rank)]
    bounds = _Bounds(*lists)

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.dim() != rank:
            raise ExecutionError(
                "a blob of another number of dimensions than the slices",
                place=given.place,
                got=f"shape {list(x.shape)}",
                allowed=(f"{rank} dimensions",),
            )
        return _cut(given, x, bounds)

    return run


@layer("sliceDynamic")
def slice_dynamic(given: Given) -> Run:
    """The same with begin and, optionally, the further fields from blobs."""
    arity(given, 2, 7)
    params = given.params
    # In the order of the inputs: what a missing one is taken from.
    fields = {
        "begin indices": [],
        "end indices": list(params.endIds),
        "strides": list(params.strides),
        "begin masks": list(params.beginMasks),
        "end masks": list(params.endMasks),
        "squeeze masks": list(params.squeezeMasks),
    }

    def run(x: torch.Tensor, *blobs: torch.Tensor) -> torch.Tensor:
        rank, found = x.dim(), []
        for i, (what, values) in enumerate(fields.items()):
            if i < len(blobs):
                values = integers(given, blobs[i])
            elif what == "squeeze masks" and not values:
                values = [False] * rank
            found.append(_sized(given, values, rank, what))
        return _cut(given, x, _Bounds(*found))

    return run


@layer("sliceBySize")
def slice_by_size(given: Given) -> Run:
    """begin:begin + size along an axis, with begin from a blob."""
    arity(given, 2)
    params = given.params

    def run(x: torch.Tensor, begin: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, params.axis, x.dim())
        extent = int(x.shape[axis])
        start = _inside(given, whole(given, begin, "the begin"), extent)
        if not 0 <= params.size <= extent - start:
            raise ExecutionError(
                "a slice that reaches beyond the blob",
                place=given.place,
                got=f"{params.size} from {start}",
                allowed=(f"0 to {extent - start}",),
            )
        return x.narrow(axis, start, params.size)

    return run


@layer("slidingWindows")
def sliding_windows(given: Given) -> Run:
    """All windows along an axis, step elements apart: [..., M, W, ...]."""
    arity(given, 1)
    params = given.params
    if params.windowSize < 1 or params.step < 1:
        raise ModelFileError(
            "windows without a size or step",
            place=given.place,
            got=f"size {params.windowSize}, step {params.step}",
        )

    def run(x: torch.Tensor) -> torch.Tensor:
        axis = axis_of(given, params.axis, x.dim())
        if params.windowSize > x.shape[axis]:
            raise ExecutionError(
                "windows larger than the blob",
                place=given.place,
                got=f"{params.windowSize} of {x.shape[axis]}",
            )
        windows = x.unfold(axis, params.windowSize, params.step).movedim(-1, axis + 1)
        checked_shape(given, windows.shape)
        return at_least_one(windows)

    return run
