"""Kernels between an input and stored points, in ML Programs, and as Core ML's support vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..problem.problem import Problem
from .ops import affine, const, mb, row, squared_distances, sum_rows


def dense(values: Any) -> Any:
    """A plain float64 array, of sparse ones too."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float64)


def pairwise(
    x: Any, points: Any, kernel: str, gamma: float | None, coef0: float, degree: float, shift: Any
) -> Any:
    """scikit-learn's pairwise kernels of x + shift with points [n, d]: [n].

    ``shift`` is what was taken from x before it came here; distances take the points less it.
    """
    points = dense(points)
    gamma = 1.0 / points.shape[1] if gamma is None else float(gamma)
    if kernel == "rbf":
        return mb.exp(x=mb.mul(x=squared_distances(x, points - shift), y=np.float32(-gamma)))
    if kernel == "laplacian":
        difference = mb.abs(x=mb.sub(x=row(x), y=const(points - shift)))
        return mb.exp(x=mb.mul(x=sum_rows(difference), y=np.float32(-gamma)))
    product = affine(x, points, points @ np.broadcast_to(shift, points.shape[1:]))
    if kernel == "linear":
        return product
    if kernel == "cosine":
        raise Problem(
            "the cosine kernel is not mapped to Core ML", hint="put a Normalizer in front"
        )
    inner = mb.add(x=mb.mul(x=product, y=np.float32(gamma)), y=np.float32(coef0))
    if kernel in ("poly", "polynomial"):
        return mb.pow(x=inner, y=np.float32(degree))
    if kernel == "sigmoid":
        return mb.tanh(x=inner)
    raise Problem(
        f"the kernel {kernel!r} is not mapped to Core ML",
        hint="linear, poly, rbf, sigmoid and laplacian are",
    )


def is_local(kernel: Any) -> bool:
    """Whether it looks at distances, which are the same wherever the origin lies."""
    return kernel in ("rbf", "laplacian")


def has_machine(kernel: Any, degree: float) -> bool:
    """Whether Core ML's support vectors know the kernel."""
    whole = float(degree).is_integer()
    return kernel in ("linear", "rbf", "sigmoid") or (kernel in ("poly", "polynomial") and whole)


def write_kernel(message: Any, kernel: Any, gamma: float, coef0: float, degree: int) -> None:
    """Put a kernel into a support vector model's parameters."""
    if kernel == "linear":
        message.linearKernel.SetInParent()
    elif kernel == "rbf":
        message.rbfKernel.gamma = gamma
    elif kernel == "poly":
        message.polyKernel.gamma = gamma
        message.polyKernel.c = coef0
        message.polyKernel.degree = int(degree)
    elif kernel == "sigmoid":
        message.sigmoidKernel.gamma = gamma
        message.sigmoidKernel.c = coef0
    else:
        raise Problem(
            f"the kernel {kernel!r} has no counterpart in Core ML",
            hint="linear, poly, rbf and sigmoid have",
        )
