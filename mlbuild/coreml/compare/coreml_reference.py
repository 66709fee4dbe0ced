"""Another Core ML model as reference: before and after quantization, or two conversions.

An ML Program is recorded operation by operation in float32, constants as they are stored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..model import load
from .recording import Recorded, Recording, Sample, real
from .stepping import Steps


class CoreMLReference:
    """Records what an ML Program computes.

    Args:
        path: The ``.mlpackage``.
        function: Which function of a multi-function model.
    """

    def __init__(self, path: str | Path, function: str | None = None) -> None:
        self._model = load(path, precision="float32", function=function)
        self._steps = Steps(self._model)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of a classifier."""
        return tuple(str(label) for label in self._model.description.class_labels)

    def record(self, sample: Sample) -> Recording:
        """One prediction."""
        values: dict[str, Any] = self._steps.encode(sample)
        places: dict[str, int] = {}
        found: list[Recorded] = []
        for name in self._steps.inputs:
            if isinstance(values[name], torch.Tensor):
                places[name] = len(found)
                found.append(Recorded(name, "input", "", real(values[name])))
        for step in self._steps.steps:
            values |= step.run(values)
            sources = tuple(sorted(places[n] for n in step.inputs if n in places))
            for name in step.outputs:
                if isinstance(values[name], torch.Tensor):
                    places[name] = len(found)
                    value = real(values[name])
                    found.append(Recorded(name, step.use.type, name, value, sources))
        return Recording(tuple(found), tuple(self._outputs(places)))

    def weights(self) -> dict[str, torch.Tensor]:
        """The constants of all operations, decompressed."""
        return {n: step.weight(n) for step in self._steps.steps for n in step.weights}

    def _outputs(self, places: dict[str, int]) -> list[tuple[str, int]]:
        result = []
        for name in self._steps.outputs:
            maker = self._steps.makers.get(name)
            if maker is not None and maker.use.type == "classify":
                name = maker.use.inputs["probabilities"][0]
            if name in places and (name, places[name]) not in result:
                result.append((name, places[name]))
        return result
