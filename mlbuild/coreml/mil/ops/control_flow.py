"""Branches and loops.

Source: coremltools MIL op docs, iOS15 control_flow (cond, while_loop). Nested blocks arrive as
functions that see the values around them.
"""

from __future__ import annotations

from typing import Any

from ...limits import turn
from ..operator import Blocks, Tensors, operator


def _results(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values


@operator("cond", exact=True)
def cond(pred: bool, blocks: Blocks) -> Any:
    """The results of the first block where pred holds, else of the second."""
    return _results(blocks[0]() if pred else blocks[1]())


@operator("while_loop", exact=True)
def while_loop(loop_vars: Tensors, blocks: Blocks) -> Any:
    """Run the second block on its own results for as long as the first one gives true."""
    values, turns = tuple(loop_vars), 0
    while bool(blocks[0](*values)[0]):
        turn(turns := turns + 1)
        values = blocks[1](*values)
    return _results(values)
