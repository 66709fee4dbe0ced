"""Vector arithmetic in ML Programs, for mappers: thin names over coremltools' MIL builder.

Vectors have one dimension; constants are given as numpy arrays and become float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its usual name

__all__ = [
    "affine", "argmax", "column", "concat", "const", "divide", "gather", "log_sum_exp", "mb",
    "one_minus", "row", "select", "squared_distances", "stack", "sum_rows", "where_positive",
]  # fmt: skip


def const(values: Any) -> Any:
    """A float32 array, for an operator's operand."""
    return np.asarray(values, np.float32)


def affine(x: Any, weights: Any, bias: Any = None) -> Any:
    """``weights @ x + bias``: x [d], weights [n, d], result [n]."""
    weights = const(weights)
    bias = np.zeros(len(weights)) if bias is None else np.broadcast_to(bias, (len(weights),))
    product = mb.linear(x=row(x), weight=weights, bias=const(bias))
    return mb.squeeze(x=product, axes=[0])


def row(x: Any) -> Any:
    """[n] as [1, n]."""
    return mb.expand_dims(x=x, axes=[0])


def column(x: Any) -> Any:
    """[n] as [n, 1]."""
    return mb.expand_dims(x=x, axes=[1])


def sum_rows(x: Any) -> Any:
    """[n, d] to [n]."""
    return mb.reduce_sum(x=x, axes=[1], keep_dims=False)


def squared_distances(x: Any, points: Any) -> Any:
    """From x [d] to each of points [n, d], as sums of squared differences: nothing cancels."""
    difference = mb.sub(x=row(x), y=const(points))
    return sum_rows(mb.mul(x=difference, y=difference))


def gather(x: Any, indices: Any) -> Any:
    """Elements of x [d] at indices [n]."""
    return mb.gather(x=x, indices=np.asarray(indices, np.int32), axis=0)


def concat(parts: Any) -> Any:
    """Vectors behind each other."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else mb.concat(values=parts, axis=0)


def stack(parts: Any) -> Any:
    """Vectors [d] as rows [n, d]."""
    return mb.stack(values=list(parts), axis=0)


def divide(x: Any, y: Any) -> Any:
    """``x / y``, elementwise."""
    return mb.real_div(x=x, y=const(y) if isinstance(y, np.ndarray | float) else y)


def one_minus(x: Any) -> Any:
    """``1 - x``."""
    return mb.sub(x=np.float32(1.0), y=x)


def select(condition: Any, a: Any, b: Any) -> Any:
    """A where the condition holds, else b; numbers are broadcast to the condition's shape."""
    return mb.select(cond=condition, a=_like(a, condition), b=_like(b, condition))


def _like(value: Any, condition: Any) -> Any:
    if isinstance(value, int | float):
        return np.full(condition.shape, value, np.float32)
    return const(value) if isinstance(value, np.ndarray) else value


def where_positive(x: Any, otherwise: float) -> Any:
    """x, and a number in the place of what is not above zero."""
    return select(mb.greater(x=x, y=np.float32(0.0)), x, otherwise)


def log_sum_exp(x: Any, axis: int = 0, keep: bool = True) -> Any:
    """log(sum(exp(x))), by way of the greatest element."""
    return mb.reduce_log_sum_exp(x=x, axes=[axis], keep_dims=keep)


def argmax(x: Any) -> Any:
    """The place of the greatest element, the first of equals, as a float32 vector of one."""
    place = mb.reduce_argmax(x=x, axis=0, keep_dims=True)
    return mb.cast(x=place, dtype="fp32")
