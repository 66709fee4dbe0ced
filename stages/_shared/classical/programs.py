"""ML Programs from steps: written with coremltools' MIL builder, in float32 throughout."""

from __future__ import annotations

import contextlib
import gc
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import coremltools as ct
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its usual name
from coremltools.converters.mil.mil import Function, Program, types

from .graph import ProgramStep, Value


def convert(
    steps: Sequence[ProgramStep], given: list[Value], taken: list[Value], target: str
) -> Any:
    """One ML Program that does all steps.

    Args:
        steps: in order; the last one may be a classifier's tail.
        given: the vectors that come from outside.
        taken: the values that are needed outside.
        target: the deployment target's name.

    Returns:
        coremltools' MLModel.
    """
    tail = steps[-1] if steps[-1].labels is not None else None
    program = _program(steps, given, taken, tail, target)
    config = None
    if tail is not None:
        label, scores = tail.outputs
        config = ct.ClassifierConfig(
            list(tail.labels or ()),
            predicted_feature_name=label.name,
            predicted_probabilities_output=_plain(tail.inputs[0]),
        )
    with _quiet():
        model = ct.convert(
            program,
            source="milinternal",
            convert_to="mlprogram",
            compute_precision=ct.precision.FLOAT32,
            minimum_deployment_target=getattr(ct.target, target),
            classifier_config=config,
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )
    if tail is not None:
        ct.utils.rename_feature(model._spec, f"{label.name}_probs", scores.name)
    _rename(model._spec, [*given, *(taken if tail is None else [])])
    return model


def _plain(value: Value) -> str:
    """A name that a program may use, whatever the feature is called."""
    return "value_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in value.name)


def _program(
    steps: Sequence[ProgramStep],
    given: list[Value],
    taken: list[Value],
    tail: ProgramStep | None,
    target: str,
) -> Program:
    program = Program()
    holders = {_plain(v): mb.placeholder((v.width,), dtype=types.fp32) for v in given}
    with Function(holders, opset_version=getattr(ct.target, target)) as function:
        known = {v: function.inputs[_plain(v)] for v in given}
        for step in steps:
            if step is tail:
                break
            results = step.build(*(known[v] for v in step.inputs))
            results = results if isinstance(results, tuple) else (results,)
            for value, result in zip(step.outputs, results, strict=True):
                if tuple(result.shape) != (value.width,):
                    raise ValueError(f"{step.what} gives {result.shape}, promised {value.width}")
                known[value] = result
        wanted = [tail.inputs[0]] if tail is not None else taken
        # Each output has a name of its own, even where two are the same value.
        function.set_outputs([mb.identity(x=known[v], name=_plain(v)) for v in wanted])
    program.add_function("main", function)
    return program


def _rename(spec: Any, values: Sequence[Value]) -> None:
    for value in values:
        if value.name != _plain(value):
            ct.utils.rename_feature(spec, _plain(value), value.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars and warnings; and without a walk over all objects of all libraries.

    ct.convert collects garbage by itself, which takes half a second where scikit-learn is loaded.
    """
    gc.freeze()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.unfreeze()
