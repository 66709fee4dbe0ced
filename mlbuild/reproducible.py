"""Runs a stage twice from the same inputs and compares every byte of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mlbuild import graph
from mlbuild.build import Pipeline, RunOptions
from mlbuild.records import BuildResult, Listener


def check(pipeline: Pipeline, stage: str, options: RunOptions, listener: Listener) -> BuildResult:
    """Whether two runs of a stage give the same bytes; one that does not fails the build.

    Args:
        pipeline: whose stage.
        stage: its name; of a matrix stage all variants.
        options: of the build.
        listener: hears both runs as one.
    """
    once = replace(options, targets=[stage], force=[stage])
    result = pipeline.build(once, listener, _untold)
    if result.ok:
        before = _outputs_of(pipeline, stage)
        result = pipeline.build(replace(once, only=True), listener, _untold)
        if result.ok:
            result = _compared(result, before, _outputs_of(pipeline, stage))
    listener.finished(result)
    return result


def _outputs_of(pipeline: Pipeline, target: str) -> dict[str, str]:
    """MD5 of each output, by "STAGE.OUTPUT", as recorded."""
    stages = {stage.name: stage for stage in pipeline.resolved.stages}
    found = {}
    for name in graph.select(pipeline.graph, pipeline.resolved.stages, [target]):
        record = pipeline.store.recorded(stages[name])
        for output, digest in record.outputs.items() if record else ():
            found[f"{name}.{output}"] = digest.md5
    return found


def _untold(result: BuildResult) -> None:
    """The end of a build that is only half of what was asked for."""


def _compared(
    result: BuildResult, before: Mapping[str, str], after: Mapping[str, str]
) -> BuildResult:
    """A second build, judged by whether its outputs are those of the first."""
    differing = sorted(name for name in before if before[name] != after.get(name))
    if not differing:
        note = "reproducible: two runs from the same inputs gave the same bytes"
        return replace(result, notes=(*result.notes, note))
    note = f"not reproducible: two runs from the same inputs differ in {', '.join(differing)}"
    return replace(result, ok=False, exit_code=1, notes=(*result.notes, note))
