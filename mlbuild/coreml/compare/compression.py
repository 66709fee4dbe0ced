"""How far each element of a compressed weight may lie from the one that was compressed.

Rounding to a scale moves an element by half the scale at most; a table's entry stands for what is
nearer to it than to its neighbours; pruning takes what is smaller than all that it keeps.

Source: coremltools MIL op docs, iOS16 constexpr_ops and iOS18 compression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

_ROOM = 1.1  # scales and tables are rounded to float16 themselves
_TAIL = 4.0  # what is beyond a table's last entry may lie further from it
_GAP, _OF_BLOCKS = 0.1, 0.6  # of the median of what pruning kept
_HALF = 2.0**-11  # the weight was float16 before it was compressed, and is again

Operand = Callable[[str], Any]  # an operand of the operation that decompresses, None if absent


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What compression does to each element.

    Attributes:
        usual: The interval that an element stands for is so wide to either side.
        most: Further off than this it is another element.
    """

    usual: torch.Tensor
    most: torch.Tensor


def reach(kind: str, operand: Operand, value: torch.Tensor) -> Reach:
    """What a compressed weight's elements stand for.

    Args:
        kind: The operator that decompresses it.
        operand: Its operands.
        value: What it makes.
    """
    value = value.float()
    if kind in ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale"):
        usual = _steps(operand, value) / 2
        most = usual * _ROOM
    elif kind == "constexpr_sparse_to_dense":
        usual, most = _pruned(value)
    else:
        usual, most = _nearest(_groups(operand, value))
        usual, most = usual.reshape(value.shape), most.reshape(value.shape)
    rounding = value.abs() * _HALF + 2.0**-24
    return Reach(torch.maximum(usual, rounding / 2), most + 2 * rounding)


def _steps(operand: Operand, value: torch.Tensor) -> torch.Tensor:
    """The scale of each element."""
    scale = torch.as_tensor(operand("scale")).float().abs()
    if scale.dim() == value.dim():
        for axis, (all_, blocks) in enumerate(zip(value.shape, scale.shape, strict=True)):
            scale = scale.repeat_interleave(all_ // blocks, axis)
        return scale
    shape = [1] * value.dim()
    if scale.numel() > 1:
        shape[int(operand("axis"))] = -1
    return scale.reshape(shape).expand(value.shape)


def _pruned(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    kept = value[value != 0].abs()
    least, middle = (float(kept.min()), float(kept.median())) if kept.numel() else (0.0, 0.0)
    gone = value == 0
    # Where no gap is left around zero, each block or channel had a threshold of its own.
    usual = least if least > _GAP * middle else _OF_BLOCKS * middle
    return gone * usual, gone * middle


def _groups(operand: Operand, value: torch.Tensor) -> torch.Tensor:
    """The elements in rows that share a table: one row for a single table."""
    table = operand("lut")
    if table is not None and (table.ndim == 1 or max(table.shape[:-2], default=1) == 1):
        return value.reshape(1, -1)
    return value.reshape(value.shape[0], -1) if value.dim() else value.reshape(1, 1)


def _nearest(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Half the distance to the neighbouring entry of the table, row by row."""
    usual, most = torch.zeros_like(rows), torch.zeros_like(rows)
    for row, near, far in zip(rows, usual, most, strict=True):
        levels = torch.unique(row)
        if len(levels) > 1:
            gaps = levels.diff() / 2
            wider = torch.maximum(torch.cat([gaps, gaps[-1:]]), torch.cat([gaps[:1], gaps]))
            limits = wider * _ROOM
            limits[0], limits[-1] = wider[0] * _TAIL, wider[-1] * _TAIL
            places = torch.searchsorted(levels, row)
            near.copy_(wider[places])
            far.copy_(limits[places])
    return usual, most
