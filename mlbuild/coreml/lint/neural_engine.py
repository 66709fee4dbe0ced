"""Shapes and types that keep an operation from the Neural Engine, as far as it is documented.

Only what is published is checked:

- "Deploying Transformers on the Apple Neural Engine" (Apple Machine Learning Research, 2022,
  https://machinelearning.apple.com/research/neural-engine-transformers): the last axis of a
  buffer is not packed and is aligned to 64 bytes, so that a last axis of one element is padded
  32 times in float16 and 64 times in 8 bits.
- coremltools, "Typed Execution" (https://apple.github.io/coremltools/docs-guides): the Neural
  Engine computes in float16; float32 operations run elsewhere.
- coremltools, "Flexible Input Shapes": enumerated shapes run on the Neural Engine where ranges
  and unbounded dimensions may not.
- coremltools 9.0, converter: a program with such a value is refused with the message that Core
  ML only supports tensors of rank 5 and below.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..mil.program import Function, Operation
from .finding import Finding

_MAX_RANK = 5
_ALIGNED = 64  # bytes
_LARGE = 4096  # elements; smaller buffers cost nothing to pad
_COSTLY = ("conv", "linear", "matmul", "scaled_dot_product_attention", "lstm", "gru")


def off_the_engine(function: Function) -> Iterator[Finding]:
    """Operations that are documented not to run there, or not well."""
    for operation in function.body.operations:
        if operation.type != "const" and not operation.type.startswith("constexpr_"):
            yield from _operation(operation, function.opset)


def _operation(operation: Operation, opset: str) -> Iterator[Finding]:
    place = operation.where(opset)
    for made in operation.outputs:
        declared = made.type
        if declared.kind != "tensor" or declared.dtype is None:
            continue
        if len(declared.shape) > _MAX_RANK:
            yield Finding(
                "warning",
                "rank-above-5",
                place,
                f"{made.name} has {len(declared.shape)} dimensions: {declared}",
                "join dimensions in the source before this operator",
            )
        if None in declared.shape and operation.type in _COSTLY:
            yield Finding(
                "note",
                "flexible-shape",
                place,
                f"{made.name} has a dimension that is known only when the model runs: {declared}",
                "enumerate the shapes (EnumeratedShapes) instead of giving a range",
            )
        if declared.dtype.name == "fp32" and operation.type in _COSTLY:
            yield Finding(
                "note",
                "float32-compute",
                place,
                f"{made.name} is float32, which the Neural Engine does not compute",
                "convert with compute_precision=FLOAT16 where accuracy allows",
            )
        bits, size = declared.dtype.bits, declared.size or 0
        if len(declared.shape) >= 3 and declared.shape[-1] == 1 and size >= _LARGE and bits:
            yield Finding(
                "note",
                "last-axis-of-one",
                place,
                f"{made.name} is {declared}: padded to {_ALIGNED} bytes it takes "
                f"{_ALIGNED * 8 // bits} times its size",
                "let another axis, a multiple of 32 long, be the last one",
            )
