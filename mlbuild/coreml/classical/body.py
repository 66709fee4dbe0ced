"""A classical model behind its described features.

Source: Core ML specification, Model.proto (the oneof of model types, ModelDescription).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..body import OperatorUse, Options, Ran
from ..description import describe
from ..errors import CoreMLError, ExecutionError, InputError, ModelFileError, UnsupportedError
from .kind import Computation, Given, kinds
from .outputs import typed
from .refused import REFUSED


class ClassicalBody:
    """One model that is no network, program or pipeline."""

    def __init__(self, given: Given, computation: Computation) -> None:
        self._given, self._computation = given, computation
        self.labels = computation.labels
        self.scores_value = computation.scores

    def values(self) -> tuple[str, ...]:
        """Names of the values between inputs and outputs, such as scores and margins."""
        return self._computation.values

    def operators(self) -> tuple[OperatorUse, ...]:
        """The model itself: it is one operation."""
        described = self._given.description
        return (
            OperatorUse(
                self._given.type,
                f"specification {described.spec_version}",
                "",
                0,
                {feature.name: (feature.name,) for feature in described.inputs},
                tuple((feature.name, str(feature)) for feature in described.outputs),
            ),
        )

    def make_state(self) -> Any:
        """No classical model has a state."""
        return None

    def run(self, values: Mapping[str, Any], keep: Collection[str], state: Any = None) -> Ran:
        """Compute, in doubles; outputs as they are described."""
        if unknown := sorted(set(keep) - set(self.values())):
            raise InputError(
                f"the model makes no such value: {', '.join(unknown)}", allowed=self.values()
            )
        try:
            ran = self._computation.run(values)
            outputs = {
                feature.name: typed(feature, ran.outputs[feature.name])
                for feature in self._given.description.outputs
                if feature.name in ran.outputs
            }
        except CoreMLError:
            raise
        except Exception as error:
            text = str(error).split("\n")[0] or type(error).__name__
            raise ExecutionError(text, place=self._given.type) from error
        return Ran(outputs, {name: _kept(ran.kept[name]) for name in keep})


def open_body(spec: Any, folder: Path, options: Options) -> ClassicalBody:
    """Read and check a model.

    Raises:
        ModelFileError: It is malformed.
        UnsupportedError: It can only be run by Apple's frameworks.
    """
    name = spec.WhichOneof("Type")
    if name is None:
        raise ModelFileError("the specification holds no model")
    if name in REFUSED:
        refusal = REFUSED[name]
        raise UnsupportedError(refusal.reason, place=f"{name} ({refusal.what})", hint=refusal.hint)
    if (builder := kinds().get(name)) is None:
        raise UnsupportedError(f"a model of type {name} cannot be run yet")
    given = Given(name, getattr(spec, name), describe(spec, options.function), folder, options)
    return ClassicalBody(given, builder(given))


def _kept(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value
