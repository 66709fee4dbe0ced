"""What a converted model computes, as a graph: steps between named values.

A step is either a model of the classical family (trees, scalers, encoders, ...) or an operation of
an ML Program. ``assemble`` turns the graph into one Core ML model, or into a pipeline of several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .hinted import Hints

# How a value is described: numbers and texts stand alone, arrays have one dimension.
DOUBLE, INT64, TEXT, ARRAY, SCORES = "double", "int64", "string", "array", "scores"


@dataclass(eq=False)
class Value:
    """One feature that flows: an input of the model, or what a step gives.

    Attributes:
        name: of the feature, different for each value.
        kind: one of the names above.
        width: elements of an array.
        dtype: of an array: "float64", "float32" or "int32".
        labels: keys of scores; a label's type (int or str) is that of its first one.
        optional: an input that may be left out.
    """

    name: str
    kind: str
    width: int = 1
    dtype: str = "float64"
    labels: tuple[Any, ...] = ()
    optional: bool = False


@dataclass(eq=False)
class ModelStep:
    """A classical model. ``fill`` writes its parameters into a specification."""

    what: str
    inputs: list[Value]
    outputs: list[Value]
    fill: Callable[[Any], None]
    takes_missing: bool = False  # its inputs may be left out: trees and imputers
    classifies: bool = False


@dataclass(eq=False)
class ProgramStep:
    """Operations of an ML Program: ``build`` takes and gives vectors of the MIL builder."""

    what: str
    inputs: list[Value]
    outputs: list[Value]
    build: Callable[..., Any]
    labels: tuple[Any, ...] | None = None  # the classifier's tail: a label and scores


@dataclass
class Graph:
    """Inputs and steps in the order in which they were made: no step is before its inputs."""

    inputs: list[Value] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    hints: Hints = field(default_factory=Hints)
    _names: set[str] = field(default_factory=set)
    _count: int = 0

    def input(self, name: str, kind: str, width: int = 1) -> Value:
        """Declare an input of the model."""
        value = Value(self._name(name), kind, width)
        self.inputs.append(value)
        return value

    def model(
        self,
        what: str,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        fill: Callable[[Any], None],
        **facts: bool,
    ) -> tuple[Value, ...]:
        """Add a classical model."""
        self.steps.append(ModelStep(what, list(inputs), list(outputs), fill, **facts))
        return tuple(outputs)

    def program(
        self, what: str, inputs: Sequence[Value], widths: Sequence[int], build: Callable[..., Any]
    ) -> tuple[Value, ...]:
        """Add operations of an ML Program, which gives float32 vectors of these widths."""
        outputs = [self.array(what, width, "float32") for width in widths]
        self.steps.append(ProgramStep(what, list(inputs), outputs, build))
        return tuple(outputs)

    def compute(self, what: str, x: Value, width: int, build: Callable[..., Any]) -> Value:
        """A program of one vector from one vector."""
        return self.program(what, [x], [width], build)[0]

    def array(self, what: str, width: int, dtype: str = "float64") -> Value:
        """A new value: a vector."""
        return Value(self._fresh(what), ARRAY, int(width), dtype)

    def single(self, what: str, kind: str) -> Value:
        """A new value: a number or a text."""
        return Value(self._fresh(what), kind)

    def scores(self, what: str, labels: Sequence[Any]) -> Value:
        """A new value: a dictionary from labels to numbers."""
        return Value(self._fresh(what), SCORES, labels=tuple(labels))

    def reserve(self, name: str) -> None:
        """Keep a name for an output."""
        self._names.add(name)

    def rename(self, value: Value, name: str) -> Value:
        """Call a value as an output of the model is to be called."""
        value.name = name
        self._names.add(name)
        return value

    def _fresh(self, what: str) -> str:
        self._count += 1
        return self._name(f"{what}_{self._count}")

    def _name(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name
