"""Constants: what float16 cannot hold, and compression that does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..compare.stepping import Steps
from ..mil.program import Operation
from .finding import Finding
from .numbers import HIGHEST, LOWEST

_SPARSE = 0.05  # a sparse form with fewer zeros than that only costs


def outside_float16(steps: Steps) -> Iterator[Finding]:
    """Constants that are infinite or NaN, or that were too small and became zero."""
    for step in steps.steps:
        for name in step.weights:
            value = step.weight(name)
            infinite, nan = int(value.isinf().sum()), int(value.isnan().sum())
            place = f"constant {name} of {step.use.type} (makes {', '.join(step.outputs)})"
            if nan:
                yield Finding(
                    "error", "constant-nan", place, f"{nan} of {value.numel()} elements are NaN",
                    "the source's weights are broken: look at them before converting",
                )  # fmt: skip
            if infinite and not _is_mask(step.use.type):
                yield Finding(
                    "error",
                    "constant-outside-float16",
                    place,
                    f"{infinite} of {value.numel()} elements are infinite: float16 ends at 65504",
                    "convert with compute_precision=FLOAT32, or scale the weights in the source",
                )
            dtype = step.types[name].dtype
            high = value[value.isfinite() & (value.abs() > HIGHEST)]
            if high.numel():
                yield Finding(
                    "note",
                    "constant-outside-float16",
                    place,
                    f"{high.numel()} of {value.numel()} elements lie beyond 65504, up to "
                    f"{float(high.abs().max()):.4g}",
                    "scale the weights in the source, or leave this operator in float32",
                )
            tiny = int(((value != 0) & (value.abs() < LOWEST)).sum())
            if tiny and dtype is not None and dtype.name == "fp32":
                yield Finding(
                    "note",
                    "constant-below-float16",
                    place,
                    f"{tiny} of {value.numel()} elements would become zero in float16",
                    "keep this operator in float32",
                )
            if name.startswith("epsilon") and value.numel() == 1 and not float(value):
                yield Finding(
                    "warning", "epsilon-zero", place, "the epsilon is zero: float16 cannot hold it",
                    "use an epsilon of at least 1e-7 in the source",
                )  # fmt: skip


def idle_compression(steps: Steps) -> Iterator[Finding]:
    """Compressed constants that are no smaller, no sparser or no coarser than plain ones."""
    for operation in steps.function.body.walk():
        if operation.type.startswith("constexpr_"):
            yield from _idle(steps, operation)


def _idle(steps: Steps, operation: Operation) -> Iterator[Finding]:
    name = operation.outputs[0].name
    place = f"constant {name}, {operation.type}"
    stored, plain = steps.stored_bytes(operation), _plain_bytes(operation)
    if stored >= plain:
        yield Finding(
            "warning", "compression-grows", place, f"{stored} bytes instead of {plain}",
            "leave this weight out of the compression (weight_threshold, or its name)",
        )  # fmt: skip
    if operation.type in ("constexpr_sparse_to_dense", "constexpr_lut_to_sparse"):
        value = steps.constant(name)
        zeros = 1.0 - float(torch.count_nonzero(value)) / max(value.numel(), 1)
        if zeros < _SPARSE:
            yield Finding(
                "warning", "pruned-not-sparse", place, f"only {zeros:.1%} of it is zero",
                "numpy 2.0 to 2.3 prune no float16 weights of more than 65,500 elements: use "
                "another version, or prune before converting",
            )  # fmt: skip
    if operation.type == "constexpr_lut_to_dense":
        entries, used = _palette(steps, operation)
        if used and used < entries:
            yield Finding(
                "note", "palette-not-used", place, f"{used} of the {entries} entries are used",
                f"as many bits as {used} entries need are enough",
            )  # fmt: skip
    if operation.type in ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale"):
        scale = steps.operand(operation, "scale")
        if scale is not None and scale.size and bool((np.asarray(scale) == 1).all()):
            yield Finding(
                "warning", "scale-of-one", place, "every scale is 1: nothing was calibrated",
                "quantize anew; weights are seldom integers",
            )  # fmt: skip


def _palette(steps: Steps, operation: Operation) -> tuple[int, int]:
    """Entries of a table, and how many of them occur; of one scalar table only."""
    table = steps.operand(operation, "lut")
    if table is None:
        return 0, 0
    flat = np.asarray(table, dtype=np.float32)
    if flat.ndim > 1 and (flat.shape[-1] != 1 or flat.size != flat.shape[-2]):
        return 0, 0
    value: Any = steps.constant(operation.outputs[0].name)
    return int(flat.size), len(torch.unique(value))


def _plain_bytes(operation: Operation) -> int:
    declared = operation.outputs[0].type
    bits = declared.dtype.bits if declared.dtype is not None else 0
    return (declared.size or 0) * bits // 8


def _is_mask(type_: str) -> bool:
    return type_ in ("add", "select", "maximum", "minimum", "clip", "scaled_dot_product_attention")
