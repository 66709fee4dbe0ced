"""All checks of a model, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..body import Options
from ..compare.stepping import Steps
from ..mil.body import ProgramBody
from ..model import load_spec
from ..package import open_model
from .finding import Finding, ordered
from .flowing import reached_in
from .network_weights import weights_of
from .neural_engine import off_the_engine
from .numbers import reached
from .opsets import too_new
from .storage import idle_compression, outside_float16


def lint(
    path: str | Path, samples: Sequence[Mapping[str, Any]] = (), target: str | None = None
) -> list[Finding]:
    """Check a model.

    Args:
        path: An ``.mlpackage`` or ``.mlmodel``. Most checks are of ML Programs; of networks,
            classical models and pipelines, what samples reach and what their weights hold.
        samples: Inputs as ``predict`` takes them; what float16 does to values is only seen on
            those that are reached.
        target: The oldest system that it is meant for, ``iOS15`` to ``iOS26``; by default what
            its specification version says.

    Returns:
        Findings, the worst first.
    """
    files = open_model(path)
    model = load_spec(files.spec, files.folder, Options("float32"))
    if not isinstance(model.body, ProgramBody):
        return ordered([*weights_of(files.spec), *reached_in(model, samples)])
    steps = Steps(model)
    return ordered(
        [
            *too_new(steps.function, files.spec.specificationVersion, target),
            *outside_float16(steps),
            *reached(steps, samples),
            *idle_compression(steps),
            *off_the_engine(steps.function),
        ]
    )
