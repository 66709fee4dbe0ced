"""Conversion between element types.

Source: coremltools MIL op docs, iOS15 and iOS17 cast. Real numbers lose their fraction on the
way to integers; the result's rounding to float16 is the runtime's.
"""

from __future__ import annotations

import torch

from ..dtypes import BY_NAME
from ..operator import Tensor, operator

_SPELLINGS = {"float": "fp32", "float16": "fp16", "float32": "fp32", "half": "fp16"}


@operator("cast")
def cast(x: Tensor, dtype: str) -> Tensor:
    """X as another type."""
    name = _SPELLINGS.get(dtype, dtype)
    if name not in BY_NAME:
        raise ValueError(f"unknown type {dtype}")
    if name == "bool":
        return x != 0
    if name == "uint16":  # kept as int32
        return x.to(torch.int32) & 0xFFFF
    return x.to(getattr(torch, BY_NAME[name].torch))
