"""All checks of an ML Program, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..body import Options
from ..compare.stepping import Steps
from ..errors import UnsupportedError
from ..model import load_spec
from ..package import open_model
from .finding import Finding, ordered
from .neural_engine import off_the_engine
from .numbers import reached
from .opsets import too_new
from .storage import idle_compression, outside_float16


def lint(
    path: str | Path, samples: Sequence[Mapping[str, Any]] = (), target: str | None = None
) -> list[Finding]:
    """Check a model.

    Args:
        path: An ``.mlpackage`` that holds an ML Program.
        samples: Inputs as ``predict`` takes them; what float16 does to values is only seen on
            those that are reached.
        target: The oldest system that it is meant for, ``iOS15`` to ``iOS26``; by default what
            its specification version says.

    Returns:
        Findings, the worst first.
    """
    files = open_model(path)
    kind = files.spec.WhichOneof("Type")
    if kind != "mlProgram":
        raise UnsupportedError(
            "only an ML Program can be checked", place=str(path), got=kind, allowed=("mlProgram",)
        )
    steps = Steps(load_spec(files.spec, files.folder, Options("float32")))
    return ordered(
        [
            *too_new(steps.function, files.spec.specificationVersion, target),
            *outside_float16(steps),
            *reached(steps, samples),
            *idle_compression(steps),
            *off_the_engine(steps.function),
        ]
    )
