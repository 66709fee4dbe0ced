"""Results of stages as the result of a build, and its exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mlbuild.errors import (
    EXIT_DATA,
    EXIT_GATE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_STAGE,
    EXIT_TOOLCHAIN,
)
from mlbuild.records import BuildResult, Outcome, StageResult

# Outcomes after which a stage's outputs lie where they belong.
IN_PLACE = frozenset(
    {Outcome.RAN, Outcome.REUSED, Outcome.RESTORED, Outcome.GATE_FAILED, Outcome.EXCLUDED}
)
_GOOD = {Outcome.RAN, Outcome.REUSED, Outcome.RESTORED, Outcome.EXCLUDED}


def exit_code(results: Mapping[str, StageResult], *, locked: bool = False) -> int:
    """Where several apply: 130, 4, 3, 1, 5."""
    outcomes = {r.outcome for r in results.values()}
    if Outcome.CANCELLED in outcomes:
        return EXIT_INTERRUPTED
    would_run = any(r.outcome is Outcome.SKIPPED and r.key for r in results.values())
    if locked and (would_run or not outcomes <= _GOOD | {Outcome.GATE_FAILED, Outcome.SKIPPED}):
        return EXIT_DATA
    failed = {r.failure.exit_code for r in results.values() if r.failure}
    for code in (EXIT_DATA, EXIT_TOOLCHAIN):
        if code in failed:
            return code
    if Outcome.FAILED in outcomes:
        return EXIT_STAGE
    if Outcome.GATE_FAILED in outcomes:
        return EXIT_GATE
    return EXIT_OK if outcomes <= _GOOD else EXIT_STAGE


def build_result(
    pipeline: str,
    results: Mapping[str, StageResult],
    order: Sequence[str],
    seconds: float,
    notes: Sequence[str] = (),
    locked: bool = False,
) -> BuildResult:
    """The facts of a finished build, stages in the order of the graph."""
    code = exit_code(results, locked=locked)
    stages = tuple(results[name] for name in order)
    return BuildResult(pipeline, code == EXIT_OK, code, stages, seconds, tuple(notes))


def if_repeated(result: BuildResult) -> BuildResult:
    """What the same run would tell if nothing changed: stages are reused, in no time."""
    kept = Outcome.EXCLUDED  # a gate takes a variant out each time
    stages = []
    for stage in result.stages:
        if stage.outcome is not Outcome.REUSED:
            outcome = kept if stage.outcome is kept else Outcome.REUSED
            stage = replace(stage, outcome=outcome, reasons=(), seconds=0.0, notes=())
        stages.append(stage)
    return replace(result, stages=tuple(stages), seconds=0.0, notes=())
