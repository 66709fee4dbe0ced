"""Elementwise functions of one argument that have no parameters.

Source: coremltools MIL op docs, iOS15 elementwise_unary. ``round`` takes halves to the even
neighbour; integer inputs keep their type.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..operator import Tensor, define

_EXACT = {"abs": torch.abs, "ceil": torch.ceil, "floor": torch.floor, "round": torch.round,
          "sign": torch.sign}  # fmt: skip
_ROUNDED = {
    "acos": torch.acos,
    "asin": torch.asin,
    "atan": torch.atan,
    "atanh": torch.atanh,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "sin": torch.sin,
    "sinh": torch.sinh,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tan": torch.tan,
    "tanh": torch.tanh,
}


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def apply(x: Tensor) -> Tensor:
        return function(x)

    return apply


for _name, _function in _EXACT.items():
    define(_name, _unary(_function), exact=True)
for _name, _function in _ROUNDED.items():
    define(_name, _unary(_function))
