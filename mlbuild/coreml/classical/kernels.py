"""Kernels between support vectors and an input.

Support vectors are kept as they are stored: dense ones as a matrix, sparse ones as lists of
(row, column, value), so that a large index costs no memory. The indices of sparse vectors begin
at 1; what is not named is zero.

Source: Core ML specification, SVM.proto (Kernel, SparseSupportVectors, DenseSupportVectors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .kind import Given
from .vectors import described_width

KernelOf = Callable[[Any], Any]


class _Vectors(Protocol):
    """Support vectors in one of their two forms."""

    @property
    def count(self) -> int:
        """How many they are."""
        ...

    def dots(self, x: Any) -> Any:
        """Dot products with x, [count]."""
        ...

    def squares(self, x: Any) -> Any:
        """Squared distances to x, [count]."""
        ...


@dataclass(frozen=True, slots=True)
class _Dense:
    count: int
    matrix: Any

    def dots(self, x: Any) -> Any:
        """Dot products with x, [count]."""
        return self.matrix @ x

    def squares(self, x: Any) -> Any:
        """Squared distances to x, [count]."""
        return ((self.matrix - x) ** 2).sum(axis=1)


@dataclass(frozen=True, slots=True)
class _Sparse:
    count: int
    rows: Any
    columns: Any
    values: Any

    def dots(self, x: Any) -> Any:
        """Dot products with x, [count]: elements that are not named are zero."""
        return np.bincount(self.rows, self.values * self._at(x), self.count)

    def squares(self, x: Any) -> Any:
        """Squared distances to x, [count]; never below zero, whatever rounding does."""
        at = self._at(x)
        # named elements replace those of the distance to the origin
        change = np.bincount(self.rows, (self.values - at) ** 2 - at**2, self.count)
        return np.maximum(change + (x**2).sum(), 0.0)

    def _at(self, x: Any) -> Any:
        inside = self.columns < len(x)
        return np.where(inside, x[np.where(inside, self.columns, 0)], 0.0)


def read_kernel(given: Given) -> tuple[KernelOf, int, int | None]:
    """The kernel of an input with every support vector; their number; the width if it is fixed."""
    params = given.params
    which = params.WhichOneof("supportVectors")
    if which == "denseSupportVectors":
        vectors, width = _dense(given)
    elif which == "sparseSupportVectors":
        vectors, width = _sparse(given), None
    else:
        raise given.wrong("there are no support vectors")
    return _kernel(given, vectors), vectors.count, width


def _dense(given: Given) -> tuple[_Vectors, int | None]:
    rows = [vector.values for vector in given.params.denseSupportVectors.vectors]
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise given.wrong("support vectors of different lengths", lengths)
    width = lengths[0] if lengths else None
    matrix = np.array(rows, np.float64).reshape(len(rows), width or 0)
    return _Dense(len(rows), matrix), width


def _sparse(given: Given) -> _Vectors:
    vectors = given.params.sparseSupportVectors.vectors
    nodes = [(row, node.index, node.value) for row, v in enumerate(vectors) for node in v.nodes]
    width = described_width(given.inputs)
    for row, index, _ in nodes:
        if index < 1 or (width is not None and index > width):
            raise given.wrong(
                f"support vector {row} has an index that no input has",
                index,
                (f"1 to {'' if width is None else width}",),
            )
    return _Sparse(
        len(vectors),
        np.array([row for row, _, _ in nodes], np.int64),
        np.array([index - 1 for _, index, _ in nodes], np.int64),
        np.array([value for _, _, value in nodes], np.float64),
    )


def _kernel(given: Given, vectors: _Vectors) -> KernelOf:
    kernel = given.params.kernel
    which = kernel.WhichOneof("kernel")
    if which is None:
        raise given.wrong("there is no kernel")
    k = getattr(kernel, which)
    if which != "linearKernel" and k.gamma < 0:
        raise given.wrong("a kernel whose gamma is negative", k.gamma)
    if which == "polyKernel" and k.degree < 0:
        raise given.wrong("a kernel whose degree is negative", k.degree)
    formulas: dict[str, KernelOf] = {
        "linearKernel": vectors.dots,
        "rbfKernel": lambda x: np.exp(-k.gamma * vectors.squares(x)),
        "polyKernel": lambda x: (k.gamma * vectors.dots(x) + k.c) ** k.degree,
        "sigmoidKernel": lambda x: np.tanh(k.gamma * vectors.dots(x) + k.c),
    }
    return formulas[which]
