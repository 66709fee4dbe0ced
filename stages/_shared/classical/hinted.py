"""What is known of a model's inputs, collected while it is mapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Hints:
    """Values of the model's inputs by name, collected while estimators are mapped."""

    numbers: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def add(self, columns: Sequence[Any], points: Any) -> None:
        """Remember points [n, columns]; columns that are no inputs are passed over later."""
        for place, column in enumerate(columns):
            values = points[:, place]
            values = values[np.isfinite(values)]
            if len(values):
                self.numbers.setdefault((column.source.name, column.index), []).append(values)

    def add_texts(self, column: Any, texts: Sequence[Any]) -> None:
        """Remember categories."""
        known = self.texts.setdefault(column.source.name, [])
        known += [t for t in texts if isinstance(t, str) and t not in known]
