"""Reading and writing the state that a model keeps between predictions.

Tensors are never changed in place here, so that reading needs no copy.

Source: coremltools MIL op docs, iOS18 states (read_state); coreml_update_state, which is written
to programs as write_state and read_state.
"""

from __future__ import annotations

from typing import Any

from ..operator import Tensor, operator
from ..state import Cell


def _cell(value: Any) -> Cell:
    if not isinstance(value, Cell):
        raise ValueError("the input is no state")
    return value


@operator("read_state", since="iOS18", exact=True)
def read_state(input: Any) -> Tensor:
    """What a state holds."""
    return _cell(input).value


@operator("write_state", since="iOS18", exact=True)
def write_state(input: Any, data: Tensor) -> None:
    """Replace what a state holds."""
    _cell(input).write(data)


@operator("coreml_update_state", since="iOS18", exact=True)
def coreml_update_state(state: Any, value: Tensor) -> Tensor:
    """Replace what a state holds, and give it."""
    _cell(state).write(value)
    return value
