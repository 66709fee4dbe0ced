"""What a reference tells of one prediction: every value on the way, in order, with its makers.

A reference is anything that can be asked for its values: a torch module, an ONNX graph, another
Core ML model. The comparison needs to know no more of it than stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Sample = Mapping[str, Any]  # by the names of the candidate's inputs


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One value of a reference.

    Attributes:
        name: Unique in its recording.
        kind: What made it: ``conv2d``, ``Gemm``, ``input``.
        scope: Where it stands in the source: a module's path, a node's name; may be empty.
        value: The tensor; real ones in float32.
        made_from: Positions in the recording of the values it was computed from.
        piece: Whether it stands inside of an operation that is recorded as a whole too: it
            proves nothing about what that operation gives.
    """

    name: str
    kind: str
    scope: str
    value: torch.Tensor
    made_from: tuple[int, ...] = ()
    piece: bool = False

    def __str__(self) -> str:
        return f"{self.kind} of {self.scope}" if self.scope else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """All values of one prediction, in the order in which they were made."""

    values: tuple[Recorded, ...]
    outputs: tuple[tuple[str, int], ...]  # name, or "" where it has none, and position


class Reference(Protocol):
    """A model that is taken to be right."""

    @property
    def labels(self) -> tuple[str, ...]:
        """A classifier's labels in the order of its scores; empty where it names none."""
        ...

    def record(self, sample: Sample) -> Recording:
        """Predict, keeping every value."""
        ...

    def weights(self) -> dict[str, torch.Tensor]:
        """Its constants by name, so that rounded copies of them are known for what they are."""
        ...


def real(value: torch.Tensor) -> torch.Tensor:
    """A recorded tensor in the type of recordings: float32 for reals, anything else as it is."""
    value = value.detach().cpu()
    return value.float() if value.is_floating_point() else value
