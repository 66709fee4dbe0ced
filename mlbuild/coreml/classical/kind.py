"""How a type of classical model is defined, registered and found.

A file in ``kinds/`` defines a type as a function that is called once, when a model is opened. It
checks the parameters and gives back what computes::

    @kind("identity")
    def identity(given: Given) -> Computation:
        return Computation(lambda values: Ran(dict(values), {}))

The computation takes the model's inputs in neutral form (see ``coreml.body``; optional ones that
were not given are absent) and answers with its outputs by name, as Python or numpy values: they
are brought to their described types afterwards. Numbers are doubles throughout, since the format
holds doubles.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..body import Options, Ran
from ..description import Description, Feature
from ..errors import ModelFileError

Run = Callable[[Mapping[str, Any]], Ran]


@dataclass(frozen=True, slots=True)
class Computation:
    """What a model does.

    Attributes:
        run: From inputs to outputs and to all values between, both by name.
        labels: A classifier's labels in the order of its scores.
        values: Names of the values between.
        scores: Which of them holds one score for each label.
    """

    run: Run
    labels: tuple[str | int, ...] = ()
    values: tuple[str, ...] = ()
    scores: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What a model is built from.

    Attributes:
        params: The member of Model.proto's oneof.
        type: Its name there.
    """

    type: str
    params: Any
    description: Description
    folder: Path
    options: Options

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """The described inputs."""
        return self.description.inputs

    def wrong(
        self, message: str, got: object = None, allowed: tuple[object, ...] = ()
    ) -> ModelFileError:
        """An error that says that this model's file is malformed."""
        return ModelFileError(
            message,
            place=self.type,
            got=None if got is None else str(got),
            allowed=[str(item) for item in allowed],
        )

    def one_input(self, *kinds: str) -> Feature:
        """The only input, which must be of one of these kinds."""
        return self._only("input", self.description.inputs, kinds)

    def one_output(self, *kinds: str) -> Feature:
        """The only output, which must be of one of these kinds."""
        return self._only("output", self.description.outputs, kinds)

    def _only(self, side: str, features: tuple[Feature, ...], kinds: tuple[str, ...]) -> Feature:
        if len(features) != 1 or features[0].kind not in kinds:
            shown = ", ".join(f"{f.name}: {f}" for f in features)
            raise self.wrong(f"takes exactly one {side} of certain kinds", shown or "none", kinds)
        return features[0]


Builder = Callable[[Given], Computation]
_registered: dict[str, Builder] = {}


def kind(*types: str) -> Callable[[Builder], Builder]:
    """Register a builder under the names of members of Model's oneof."""

    def register(builder: Builder) -> Builder:
        for name in types:
            if name in _registered:
                raise ValueError(f"model type {name} is defined twice")
            _registered[name] = builder
        return builder

    return register


def kinds() -> dict[str, Builder]:
    """All types of model by name."""
    _discover()
    return dict(sorted(_registered.items()))


@lru_cache(maxsize=1)
def _discover() -> None:
    package = import_module(f"{__package__}.kinds")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
