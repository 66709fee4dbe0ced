"""What flows through a model of any type: its values in order, and what makes them.

For models whose operations cannot be run one at a time as those of an ML Program can: networks,
classical models and pipelines of such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..body import Body, OperatorUse
from ..model import Model
from ..pipeline import PipelineBody
from .recording import Sample, real


@dataclass(eq=False)
class Node:
    """One operation, with the values that it takes and makes; those of inputs by their names."""

    use: OperatorUse
    takes: tuple[str, ...]
    makes: list[str] = field(default_factory=list)


class Flow:
    """A model as nodes between values.

    Attributes:
        nodes: The operations in order.
        inputs: Names of the inputs.
        outputs: The value behind each output, by the output's name.
        makers: The node that makes each value.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        uses = iter(model.body.operators())
        self.inputs = tuple(f.name for f in model.description.inputs)
        known = {name: name for name in self.inputs}
        outputs = tuple(f.name for f in model.description.outputs)
        self.nodes = tuple(_nodes(model.body, outputs, "", known, uses))
        self.makers = {name: node for node in self.nodes for name in node.makes}
        self.outputs = {name: known[name] for name in outputs if name in known}

    def run(self, sample: Sample) -> dict[str, torch.Tensor]:
        """Inputs, values and outputs of one prediction that are numbers.

        A label stands as its place among the labels, scores by label in the labels' order.
        """
        body, description = self._model.body, self._model.description
        ran = self._model.run(sample, keep=body.values(), state=body.make_state())
        found: dict[str, Any] = {n: sample[n] for n in self.inputs if n in sample}
        found |= ran.values
        for name, key in self.outputs.items():
            value = ran.outputs.get(name)
            if name == description.predicted_feature and value in body.labels:
                value = body.labels.index(value)
            found[key] = value
        tensors = {name: _tensor(value, body.labels) for name, value in found.items()}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def behind(self, name: str) -> list[Node]:
        """The nodes that a value was made by, in order."""
        found: set[int] = set()
        waiting = [name]
        while waiting:
            node = self.makers.get(waiting.pop())
            if node is not None and id(node) not in found:
                found.add(id(node))
                waiting += node.takes
        return [node for node in self.nodes if id(node) in found]


def _nodes(
    body: Body,
    outputs: tuple[str, ...],
    prefix: str,
    known: dict[str, str],
    uses: Iterator[OperatorUse],
) -> list[Node]:
    """The nodes of a body; what it gives under the names in ``outputs`` is added to ``known``."""
    found: list[Node] = []
    if isinstance(body, PipelineBody):
        for place, stage in enumerate(body.stages):
            given = tuple(f.name for f in stage.description.outputs)
            found += _nodes(stage.body, given, f"{prefix}{place}/", known, uses)
        return found
    inside = dict(known)
    for plain in body.operators():
        takes = [n for names in plain.inputs.values() for n in names]
        node = Node(next(uses), tuple(inside[n] for n in takes if n in inside))
        for name, _ in plain.outputs:
            inside[name] = f"{prefix}{name}"
            node.makes.append(inside[name])
        found.append(node)
    made = {name for node in found for name in node.makes}
    for name in (*body.values(), *outputs):  # scores and labels that no operation tells of
        if found and f"{prefix}{name}" not in made:
            found[-1].makes.append(f"{prefix}{name}")
    known.update((name, f"{prefix}{name}") for name in outputs)
    return found


def _tensor(value: Any, labels: tuple[str | int, ...]) -> torch.Tensor | None:
    if isinstance(value, Mapping):
        order = labels if set(labels) == set(value) else sorted(value)
        value = [value[key] for key in order]
    if isinstance(value, str) or value is None:
        return None
    array = np.asarray(value)
    if hasattr(value, "getbands") and array.ndim == 3:
        array = array.transpose(2, 0, 1)
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    if array.dtype.kind == "u":
        array = array.astype(np.int64)
    return real(torch.from_numpy(np.array(np.atleast_1d(array))))
