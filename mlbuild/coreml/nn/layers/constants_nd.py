"""Blobs made from parameters: constants, fillings, ranges, shapes.

Source: Core ML specification, NeuralNetwork.proto: LoadConstantNDLayerParams,
FillLikeLayerParams, FillStaticLayerParams, FillDynamicLayerParams, RangeStaticLayerParams,
RangeDynamicLayerParams, GetShapeLayerParams.
"""

from __future__ import annotations

import numpy as np
import torch

from ...errors import ExecutionError
from ..checks import arity, at_least_one, checked_shape, integers, scalar
from ..layer import Given, Run, layer


@layer("loadConstantND")
def load_constant_nd(given: Given) -> Run:
    """A constant."""
    arity(given, 0)
    value = at_least_one(given.weight("data", tuple(given.params.shape)))
    return lambda: value


@layer("fillLike")
def fill_like(given: Given) -> Run:
    """One value in the shape of another blob."""
    arity(given, 1)
    value = given.params.value
    return lambda x: torch.full(x.shape, value)


@layer("fillStatic")
def fill_static(given: Given) -> Run:
    """One value in a shape."""
    arity(given, 0)
    params = given.params
    return lambda: torch.full(checked_shape(given, params.targetShape), params.value)


@layer("fillDynamic")
def fill_dynamic(given: Given) -> Run:
    """One value in the shape that a blob names."""
    arity(given, 1)
    value = given.params.value
    return lambda x: torch.full(checked_shape(given, integers(given, x)), value)


@layer("rangeStatic")
def range_static(given: Given) -> Run:
    """Start, start + step, ... up to but without end."""
    arity(given, 0)
    params = given.params
    return lambda: _range(given, params.startValue, params.endValue, params.stepSizeValue)


@layer("rangeDynamic")
def range_dynamic(given: Given) -> Run:
    """The same with end and, optionally, start and step from blobs, in this order."""
    arity(given, 1, 3)
    start, step = given.params.startValue, given.params.stepSizeValue

    def run(end: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        last = scalar(given, end, "the end")
        first = scalar(given, others[0], "the start") if others else start
        width = scalar(given, others[1], "the step") if len(others) > 1 else step
        return _range(given, first, last, width)

    return run


def _range(given: Given, start: float, end: float, step: float) -> torch.Tensor:
    first, last, width = (np.float32(value) for value in (start, end, step))
    if not np.isfinite([first, last, width]).all() or width == 0:
        raise ExecutionError(
            "a range without an end", place=given.place, got=f"{start} to {end} by {step}"
        )
    # In float32, as all values are: in double, 0 to 0.3 by 0.1 would have a fourth element.
    with np.errstate(over="ignore"):
        count = float(np.ceil((last - first) / width))
    if not np.isfinite(count):
        raise ExecutionError(
            "a range that is too long", place=given.place, got=f"{start} to {end} by {step}"
        )
    [size] = checked_shape(given, [max(int(count), 0)])
    return torch.arange(size, dtype=torch.float32) * float(width) + float(first)


@layer("getShape")
def get_shape(given: Given) -> Run:
    """The dimensions of a blob, as a vector."""
    arity(given, 1)
    return lambda x: torch.tensor(x.shape, dtype=torch.float32)
