"""Rounding to declared types.

A float16 value is kept as a float32 tensor of numbers that float16 can represent: operators
then accumulate in float32 and the result is rounded once, as DESIGN asks, at half the cost of
computing in half precision on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .dtypes import DType

Round = Callable[[Any], Any]


def to_half(value: torch.Tensor) -> torch.Tensor:
    """Round to float16 (nearest, ties to even; beyond 65504 becomes infinite)."""
    return value.half().float()


def to_bfloat(value: torch.Tensor) -> torch.Tensor:
    """Round to bfloat16."""
    return value.bfloat16().float()


def _to_type(name: str) -> Round:
    target = getattr(torch, name)

    def convert(value: torch.Tensor) -> torch.Tensor:
        return value.to(target)

    return convert


_HALVES: dict[str, Round] = {"fp16": to_half, "bf16": to_bfloat}
_INTEGERS = {n: _to_type(n) for n in ("bool", "int8", "int16", "int32", "int64", "uint8")}


def finish(dtype: DType | None, exact: bool, declared: bool) -> Round | None:
    """What has to be done to a result so that it has its declared type, or nothing.

    Args:
        dtype: The declared element type.
        exact: Whether the operator only moved or picked values of that type.
        declared: Whether float16 is honoured; otherwise float32 is kept throughout.
    """
    if dtype is None or exact or not dtype.torch:
        return None
    if dtype.name in _HALVES:
        return _HALVES[dtype.name] if declared else None
    return _INTEGERS.get(dtype.torch)
