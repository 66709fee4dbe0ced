"""Another Core ML model as reference: before and after quantization, or two conversions.

An ML Program is recorded operation by operation in float32, constants as they are stored; a model
of another type by the values that it shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..mil.body import ProgramBody
from ..model import load
from .flow import Flow
from .recording import Recorded, Recording, Sample, real
from .stepping import Steps


class CoreMLReference:
    """Records what a Core ML model computes.

    Args:
        path: The ``.mlpackage`` or ``.mlmodel``.
        function: Which function of a multi-function model.
    """

    def __init__(self, path: str | Path, function: str | None = None) -> None:
        self._model = load(path, precision="float32", function=function)
        program = isinstance(self._model.body, ProgramBody)
        self._steps = Steps(self._model) if program else None
        self._flow = None if program else Flow(self._model)

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of a classifier."""
        return tuple(str(label) for label in self._model.description.class_labels)

    def record(self, sample: Sample) -> Recording:
        """One prediction."""
        if self._flow is not None:
            return _flowing(self._flow, sample)
        assert self._steps is not None
        return _stepping(self._steps, sample)

    def weights(self) -> dict[str, torch.Tensor]:
        """The constants of all operations of an ML Program, decompressed."""
        steps = self._steps.steps if self._steps is not None else ()
        return {n: step.weight(n) for step in steps for n in step.weights}


def _stepping(steps: Steps, sample: Sample) -> Recording:
    values: dict[str, Any] = steps.encode(sample)
    places: dict[str, int] = {}
    found: list[Recorded] = []
    for name in steps.inputs:
        if isinstance(values[name], torch.Tensor):
            places[name] = len(found)
            found.append(Recorded(name, "input", "", real(values[name])))
    for step in steps.steps:
        values |= step.run(values)
        sources = tuple(sorted(places[n] for n in step.inputs if n in places))
        for name in step.outputs:
            if isinstance(values[name], torch.Tensor):
                places[name] = len(found)
                found.append(Recorded(name, step.use.type, name, real(values[name]), sources))
    return Recording(tuple(found), tuple(_outputs(steps, places)))


def _flowing(flow: Flow, sample: Sample) -> Recording:
    values = flow.run(sample)
    places: dict[str, int] = {}
    found: list[Recorded] = []
    for name in flow.inputs:
        if name in values:
            places[name] = len(found)
            found.append(Recorded(name, "input", "", values[name]))
    for node in flow.nodes:
        sources = tuple(sorted({places[n] for n in node.takes if n in places}))
        for name in node.makes:
            if name in values:
                places[name] = len(found)
                found.append(Recorded(name, node.use.type, name, values[name], sources))
    outputs = flow.outputs.items()
    return Recording(tuple(found), tuple((n, places[k]) for n, k in outputs if k in places))


def _outputs(steps: Steps, places: dict[str, int]) -> list[tuple[str, int]]:
    result = []
    for name in steps.outputs:
        maker = steps.makers.get(name)
        if maker is not None and maker.use.type == "classify":
            name = maker.use.inputs["probabilities"][0]
        if name in places and (name, places[name]) not in result:
            result.append((name, places[name]))
    return result
