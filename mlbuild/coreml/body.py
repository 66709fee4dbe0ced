"""The seam between a model's described features and what computes behind them.

A ``Body`` is one kind of model: an ML Program, a NeuralNetwork, a tree ensemble, a pipeline. It
takes and gives values in one neutral form, so that models can feed each other without knowing
what the other one is:

============  =======================================================================
feature       neutral form
============  =======================================================================
image         float32 tensor [1, channels, height, width], 0 to 255, channels as declared
multi_array   tensor of the described element type and of the given shape
int64         Python int
double        Python float
string        Python str
dictionary    Python dict
sequence      Python list
============  =======================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from .errors import UnsupportedError

# Where each type of model is opened: a module with `open_body(spec, folder, options) -> Body`.
_HOMES = {
    "mlProgram": "mil.body",
    "neuralNetwork": "nn.body",
    "neuralNetworkClassifier": "nn.body",
    "neuralNetworkRegressor": "nn.body",
    "pipeline": "pipeline",
    "pipelineClassifier": "pipeline",
    "pipelineRegressor": "pipeline",
    "linkedModel": "linked",
}
_OTHERS = "classical.body"  # knows its own kinds and refuses the rest by name


PRECISIONS = ("declared", "float32")


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is to be run: see ``load``."""

    precision: str = "declared"
    function: str | None = None
    seed: int | None = None

    @property
    def declared(self) -> bool:
        """Whether each value is rounded to its declared type."""
        return self.precision == "declared"


@dataclass(frozen=True, slots=True)
class OperatorUse:
    """One operation of a model: what it is, where it stands, what it takes and makes."""

    type: str
    opset: str
    block: str
    index: int
    inputs: dict[str, tuple[str, ...]]
    outputs: tuple[tuple[str, str], ...]  # name and type


@dataclass(frozen=True, slots=True)
class Ran:
    """Outputs and the values between that were asked for, both by name, in neutral form."""

    outputs: dict[str, Any]
    kept: dict[str, Any]


class Body(Protocol):
    """One kind of model."""

    @property
    def labels(self) -> tuple[str | int, ...]:
        """A classifier's labels in the order of its scores; else empty."""
        ...

    @property
    def scores_value(self) -> str | None:
        """The name of the value that holds a classifier's scores, if it can be kept."""
        ...

    def values(self) -> tuple[str, ...]:
        """Names of all values computed on the way, in order (no constants)."""
        ...

    def operators(self) -> tuple[OperatorUse, ...]:
        """Every operation but plain constants, in order; nested ones behind their holder."""
        ...

    def run(self, values: Mapping[str, Any], keep: Collection[str], state: Any = None) -> Ran:
        """Compute; failures are told as ``ExecutionError`` with the place in the model."""
        ...

    def make_state(self) -> Any:
        """Fresh state, or None for a model without."""
        ...


def open_body(spec: Any, folder: Path, options: Options) -> Body:
    """The body of a specification whose files lie in a folder.

    Raises:
        ModelFileError: The specification is malformed.
        UnsupportedError: This runtime cannot run it; names what and where.
    """
    kind = spec.WhichOneof("Type")
    try:
        home = import_module(f"{__package__}.{_HOMES.get(kind, _OTHERS)}")
    except ModuleNotFoundError as error:
        raise UnsupportedError(f"a model of type {kind} cannot be run yet") from error
    body: Body = home.open_body(spec, folder, options)
    return body
