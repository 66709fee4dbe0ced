"""Operators that the oldest system a model is meant for does not have.

Source: Core ML specification, Model.proto, specification versions by system; which opset came
with which system is in the names of the opsets (CoreML5 came with iOS 15).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import InputError
from ..mil.program import OPSETS, Function
from .finding import Finding

TARGETS = {"iOS15": 6, "iOS16": 7, "iOS17": 8, "iOS18": 9, "iOS26": 10}
_ORDER = list(OPSETS.values())


def too_new(function: Function, version: int, target: str | None) -> Iterator[Finding]:
    """The program's opset against the specification version and against the target."""
    if target is not None and target not in TARGETS:
        raise InputError("unknown target", got=target, allowed=TARGETS)
    opset = OPSETS.get(function.opset, function.opset)
    declared = next((name for name, number in TARGETS.items() if number == version), None)
    if declared is not None and opset in _ORDER and _ORDER.index(opset) > _ORDER.index(declared):
        yield Finding(
            "error",
            "opset-newer-than-specification",
            f"function {function.name}",
            f"its operators are those of {opset}, specification version {version} is {declared}'s",
            f"set the specification version to {TARGETS[opset]}, or convert for {declared}",
        )
    if target is not None and opset in _ORDER and _ORDER.index(opset) > _ORDER.index(target):
        yield Finding(
            "error",
            "opset-newer-than-target",
            f"function {function.name}",
            f"its operators are those of {opset}, systems before it cannot load the model",
            f"convert with minimum_deployment_target={target}",
        )
    if target is not None and version > TARGETS[target]:
        yield Finding(
            "error",
            "specification-newer-than-target",
            "the model",
            f"specification version {version} needs {declared or 'a newer system'}",
            f"convert, and compress, with minimum_deployment_target={target}",
        )
