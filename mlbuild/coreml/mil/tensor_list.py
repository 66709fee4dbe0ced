"""Lists of tensors of one shape, as programs hold them.

Elements that were never written are zero; a list of dynamic length grows when it is written
behind its end.

Source: coremltools MIL op docs, iOS15 control_flow (make_list, list_write, list_scatter).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from ..limits import demand


@dataclass(frozen=True, slots=True)
class TensorList:
    """A list; writing makes a new one.

    Attributes:
        elements: None where nothing was written yet.
        shape: The shape of an element, None as long as it is not known.
    """

    elements: tuple[torch.Tensor | None, ...]
    shape: tuple[int, ...] | None
    dtype: torch.dtype
    dynamic: bool

    def read(self, index: int) -> torch.Tensor:
        """One element."""
        if not 0 <= index < len(self.elements):
            raise ValueError(f"element {index} of a list of {len(self.elements)}")
        element = self.elements[index]
        if element is not None:
            return element
        if self.shape is None:
            raise ValueError(f"element {index} is read before any was written: its shape is open")
        return torch.zeros(self.shape, dtype=self.dtype)

    def all(self) -> list[torch.Tensor]:
        """Every element; none as long as their shape is open."""
        return [] if self.shape is None else [self.read(i) for i in range(len(self.elements))]

    def write(self, values: Iterable[tuple[int, torch.Tensor]]) -> TensorList:
        """A list with elements replaced."""
        elements, shape = list(self.elements), self.shape
        for index, value in values:
            if index < 0 or (index >= len(elements) and not self.dynamic):
                raise ValueError(f"element {index} of a list of {len(elements)}")
            demand((index + 1) * 8)  # an index of data makes the list as long as itself
            elements += [None] * (index + 1 - len(elements))
            elements[index] = value
            shape = tuple(int(n) for n in value.shape)
        return replace(self, elements=tuple(elements), shape=shape)
