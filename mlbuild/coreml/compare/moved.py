"""A model whose compressed weights are moved within their own steps: what compression costs.

Weights that were compressed lie as far from the original's as these lie from the compressed ones,
so that what differs here is what a faultless compression makes differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ..model import Model, Run
from .stepping import Step, Steps


class Moved:
    """Predicts in float32 with other weights each time.

    Args:
        model: An ML Program, opened with ``precision="float32"``.
        seed: Of the weights.

    Raises:
        UnsupportedError: It is no ML Program.
    """

    def __init__(self, model: Model, seed: int = 0) -> None:
        self.description, self.scores_value = model.description, model.scores_value
        self.make_state = model.make_state
        self._steps = Steps(model)
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def moves(self) -> bool:
        """Whether any weight is compressed."""
        return any(step.compressed for step in self._steps.steps)

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs that are arrays."""
        return self.run(inputs).outputs

    def run(self, inputs: Mapping[str, Any], keep: Iterable[str] = (), state: Any = None) -> Run:
        """As ``Model.run``."""
        values = self._steps.encode(inputs, state)
        for step in self._steps.steps:
            values |= step.run(values, self._weights(step))
        found = {n: _array(values[n]) for n in self._steps.outputs if _is_tensor(values[n])}
        return Run(found, {name: _array(values[name]) for name in keep})

    def _weights(self, step: Step) -> dict[str, torch.Tensor]:
        moved = {}
        for name in step.compressed:
            value = step.weight(name)
            share = torch.rand(value.shape, generator=self._generator) * 2 - 1
            moved[name] = value + share * step.reach(name).usual
        return moved


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy()
