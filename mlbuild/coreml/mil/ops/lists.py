"""Operators on lists of tensors.

Source: coremltools MIL op docs, iOS15 control_flow (make_list and the list operators).
"""

from __future__ import annotations

from typing import Any

import torch

from ...limits import demand
from ..operator import Declared, Ints, Tensor, Values, operator
from ..tensor_list import TensorList

_POINTER = 8  # bytes that an element takes though nothing was written to it


@operator("make_list", exact=True)
def make_list(
    elem_shape: Values,
    declared: Declared,
    init_length: int = 1,
    dynamic_length: bool = True,
    dtype: str = "fp32",
) -> TensorList:
    """A list of zeros; a name in the shape stands for a dimension that the first write tells."""
    item = declared[0].items[0] if declared[0].items else None
    name = item.dtype.torch if item is not None and item.dtype is not None else "float32"
    demand(init_length * _POINTER)
    sizes = [_size(value) for value in elem_shape]
    shape = None if None in sizes else tuple(n for n in sizes if n is not None)
    return TensorList((None,) * init_length, shape, getattr(torch, name), dynamic_length)


def _size(value: Any) -> int | None:
    return None if isinstance(value, str) else int(value)


def _list(value: Any) -> TensorList:
    if not isinstance(value, TensorList):
        raise ValueError("the input is no list")
    return value


@operator("list_length", exact=True)
def list_length(ls: Any) -> Tensor:
    """The number of elements."""
    return torch.tensor(len(_list(ls).elements), dtype=torch.int32)


@operator("list_read", exact=True)
def list_read(ls: Any, index: int) -> Tensor:
    """One element."""
    return _list(ls).read(index)


@operator("list_write", exact=True)
def list_write(ls: Any, index: int, value: Tensor) -> TensorList:
    """The list with one element replaced."""
    return _list(ls).write([(index, value)])


@operator("list_gather", exact=True)
def list_gather(ls: Any, indices: Ints) -> Tensor:
    """Elements, stacked along a new first dimension."""
    elements = _list(ls)
    if not indices:
        return torch.zeros((0, *(elements.shape or ())), dtype=elements.dtype)
    return torch.stack([elements.read(index) for index in indices])


@operator("list_scatter", exact=True)
def list_scatter(ls: Any, indices: Ints, value: Tensor) -> TensorList:
    """The list with elements replaced by the slices of a tensor."""
    return _list(ls).write(zip(indices, value.unbind(0), strict=True))
