"""Elementwise comparison, logic, and choice between two tensors.

Source: coremltools MIL op docs, iOS15 elementwise_binary, elementwise_unary (logical_not) and
control_flow (select).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..operator import Tensor, define, operator

_BINARY = {
    "equal": torch.eq,
    "not_equal": torch.ne,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
}


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    def apply(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return apply


for _name, _function in _BINARY.items():
    define(_name, _binary(_function), exact=True)


@operator("logical_not", exact=True)
def logical_not(x: Tensor) -> Tensor:
    """True where x is zero."""
    return torch.logical_not(x)


@operator("select", exact=True)
def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A where cond holds, b elsewhere."""
    return torch.where(cond.bool(), a, b)
