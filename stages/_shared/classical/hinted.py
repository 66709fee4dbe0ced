"""What is known of a model's inputs, collected while it is mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Place = tuple[str, int]


@dataclass
class Hints:
    """Values of the model's inputs, and how values on the way come from them.

    Attributes:
        numbers: pools of values by name and element.
        texts: categories by name.
        origins: where an element comes from: its place, and (factor, shift) of
            ``element = origin * factor + shift``.
    """

    numbers: dict[Place, list[Any]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    origins: dict[Place, tuple[Place, float, float]] = field(default_factory=dict)

    def add(self, columns: Sequence[Any], points: Any) -> None:
        """Remember points [n, columns], brought back to the inputs where the way is known."""
        for number, column in enumerate(columns):
            place, values = (column.source.name, column.index), points[:, number]
            while place in self.origins:
                place, factor, shift = self.origins[place]
                values = (values - shift) / factor
            values = values[np.isfinite(values)]
            if len(values):
                self.numbers.setdefault(place, []).append(values)

    def add_texts(self, column: Any, texts: Sequence[Any]) -> None:
        """Remember categories."""
        place = (column.source.name, column.index)
        while place in self.origins:
            place = self.origins[place][0]
        known = self.texts.setdefault(place[0], [])
        known += [t for t in texts if isinstance(t, str) and t and t not in known]

    def same(
        self, made: str, sources: Sequence[Place], factors: Any = None, shifts: Any = None
    ) -> None:
        """Elements of a value are those of others, times a factor, plus a shift."""
        count = len(sources)
        factors = np.broadcast_to(1.0 if factors is None else np.ravel(factors), (count,))
        shifts = np.broadcast_to(0.0 if shifts is None else np.ravel(shifts), (count,))
        for place, source in enumerate(sources):
            if factors[place]:
                self.origins[made, place] = (source, float(factors[place]), float(shifts[place]))
