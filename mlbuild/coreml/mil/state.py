"""What a model keeps between predictions.

Source: Core ML specification, MIL.proto (StateType) and Model.proto (state); coremltools' MLState
for the verbs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..limits import demand
from .dtypes import ValueType
from .precision import finish
from .program import Output


class Cell:
    """One named tensor of a state; operators read ``value`` and replace it by ``write``."""

    def __init__(self, wrapped: ValueType) -> None:
        self._type = wrapped
        shape = [n or 0 for n in wrapped.shape]
        name = wrapped.dtype.torch if wrapped.dtype is not None else "float32"
        demand((wrapped.size or 0) * 8)
        self.value = torch.zeros(shape, dtype=getattr(torch, name))

    def write(self, value: torch.Tensor) -> None:
        """Replace the tensor by another one of the declared shape."""
        wanted = tuple(n or 0 for n in self._type.shape)
        if tuple(value.shape) != wanted:
            raise ValueError(f"a state of shape {list(wanted)} was given {list(value.shape)}")
        self.value = value


class State:
    """Named tensors, zero at first. Made by ``Model.make_state``."""

    def __init__(self, inputs: Iterable[Output], declared: bool) -> None:
        self._types = {given.name: given.type for given in inputs if given.type.kind == "state"}
        self._declared = declared
        self._cells = {name: Cell(of.items[0]) for name, of in self._types.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tensors."""
        return tuple(self._cells)

    @property
    def cells(self) -> Mapping[str, Cell]:
        """What a program reads and writes."""
        return self._cells

    def fits(self, inputs: Iterable[Output]) -> bool:
        """Whether this is the state of a function with these inputs."""
        return self._types == {g.name: g.type for g in inputs if g.type.kind == "state"}

    def read_state(self, name: str) -> Any:
        """A copy of one tensor as an array of its declared type."""
        dtype = self._types[self._known(name)].dtype
        array = np.array(self._cells[name].value.numpy())
        stored = self._declared and dtype is not None and dtype.name != "bf16"
        return array.astype(dtype.storage) if stored and dtype is not None else array

    def write_state(self, name: str, value: Any) -> None:
        """Replace one tensor.

        Raises:
            InputError: There is no such tensor, or the value does not fit its shape.
        """
        dtype = self._types[self._known(name)].dtype
        cell = self._cells[name]
        try:
            tensor = torch.from_numpy(np.array(value)).to(cell.value.dtype)
            rounding = finish(dtype, False, self._declared)
            cell.write(rounding(tensor) if rounding else tensor)
        except (TypeError, ValueError) as error:
            raise InputError(str(error), place=f"state '{name}'") from error

    def _known(self, name: str) -> str:
        if name not in self._cells:
            raise InputError("the model has no such state", got=name, allowed=self._cells)
        return name
