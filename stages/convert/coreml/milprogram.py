"""From a program in coremltools' own language, that another converter wrote, to an MLModel."""

from __future__ import annotations

import traceback
import warnings
from typing import Any

import coremltools as ct

from ..._shared.problem.problem import Problem
from .conversion import classifier_of, precision_of, refused, type_of
from .formats import options
from .sources import Source


def finish(
    program: Any, source: Source, params: Any, returns: str, log: Any, passes: Any = None
) -> Any:
    """Name the outputs, run coremltools' passes, write the model.

    Args:
        program: a MIL program whose inputs bear the names of the source's features.
        source: what is known of it.
        params: of the kind.
        returns: "classifier", "probabilities", "logits", or "outputs" for those that it names.
        log: takes a line of text.
        passes: a pipeline of passes, where it is not the usual one.

    Raises:
        Problem: coremltools refuses it.
    """
    main = program.functions["main"]
    taken = set(main.inputs)
    for value, name in zip(main.outputs, output_names(source, params, returns), strict=True):
        if name in taken:
            raise Problem(
                f"an input and an output are called '{name}'",
                hint="name the outputs: output_names: [...], or the input: input_name",
            )
        value.name = name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations, and of names that it changes
            return ct.convert(
                program,
                source="milinternal",
                inputs=[type_of(feature) for feature in source.features],
                classifier_config=classifier_of(source, params, returns),
                pass_pipeline=passes,
                skip_model_load=True,
                **options(params, precision_of(source, params)),
            )
    except Exception as error:  # coremltools raises whatever its passes stumble over
        log(traceback.format_exc())
        raise refused(error) from error


def output_names(source: Source, params: Any, returns: str) -> list[str]:
    """What the values are called that the program returns."""
    if returns == "outputs":
        return [output.name for output in source.outputs]
    if returns == "classifier":
        return ["scores"]  # inside the model; what classifies them names its own output
    return [params.score_output or returns]
