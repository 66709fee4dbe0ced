"""Builds a task: the process that does one attempt at one stage."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlbuild.attempts import Task
from mlbuild.execute.environment import Environment, stage_environment
from mlbuild.execute.reads import watched
from mlbuild.records import Input, Json, Stage

JOB_VERSION = 1

_UNFORKABLE = frozenset({"tensorflow", "turicreate", "jax"})  # their threads do not survive it


@dataclass(frozen=True, slots=True)
class Places:
    """Where one attempt reads and writes; every path is absolute."""

    root: Path
    log: Path
    inputs: Mapping[str, Path | tuple[Path, ...]]  # by role
    outputs: Mapping[str, Path]  # artifacts by name, in scratch
    scratch: Path  # a temporary folder
    metrics: Path
    plots: Path | None = None
    notes: str | None = None  # what it reads; None: nobody asks


@dataclass(frozen=True, slots=True)
class Program:
    """The code of a kind."""

    stages_root: Path
    folder: Path  # absolute
    run: str = "run.py"
    coreml: Path | None = None  # the reference runtime's folder, for kinds that ask for it
    fresh: bool = False  # never forked


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python of a toolchain and what its fork server imports."""

    python: Path
    preload: tuple[str, ...] = ()
    environ: tuple[tuple[str, str], ...] = ()  # the toolchain's own variables


def command_task(
    stage: Stage,
    places: Places,
    command: str,
    caller: Mapping[str, str],
    interpreter: Interpreter | None = None,
    attempt: int = 1,
) -> Task:
    """The task of a `run:` command.

    Args:
        stage: what is attempted.
        places: where; inputs and outputs stand in ``command`` already.
        command: text for the shell, completely substituted.
        caller: the environment of whoever runs the build.
        interpreter: of the stage's toolchain; None for the engine's own Python.
        attempt: counts from 1.

    Raises:
        StageError: a secret is not set.
    """
    python = interpreter.python if interpreter else None
    variables = interpreter.environ if interpreter else ()
    environment = stage_environment(stage, caller, python, worker=False, environ=variables)
    return Task(
        stage=stage.name,
        cwd=places.root,
        log=places.log,
        env=_watched(environment, places),
        argv=[*shell(), command],
        timeout_seconds=_seconds(stage),
        resources=stage.resources,
        masked=environment.masked,
        attempt=attempt,
    )


def job_task(
    stage: Stage,
    places: Places,
    program: Program,
    interpreter: Interpreter,
    caller: Mapping[str, str],
    attempt: int = 1,
) -> Task:
    """The task of a stage with a kind: a job for the worker.

    Raises:
        StageError: a secret is not set.
    """
    environment = stage_environment(
        stage, caller, interpreter.python, worker=True, environ=interpreter.environ
    )
    # A fork server has imported its modules before a stage's own environment could be applied,
    # and CUDA does not survive a fork.
    own_process = (
        program.fresh
        or bool(stage.env or stage.secrets)
        or stage.resources.gpu > 0
        or not _UNFORKABLE.isdisjoint(interpreter.preload)
    )
    return Task(
        stage=stage.name,
        cwd=places.root,
        log=places.log,
        env=_watched(environment, places),
        job=job_of(stage, places, program),
        python=interpreter.python,
        preload=interpreter.preload,
        fresh=own_process,
        timeout_seconds=_seconds(stage),
        resources=stage.resources,
        masked=environment.masked,
        attempt=attempt,
    )


def job_of(stage: Stage, places: Places, program: Program) -> dict[str, Json]:
    """The job as the worker reads it."""
    inputs = {role: _texts(value) for role, value in places.inputs.items()}
    return {
        "version": JOB_VERSION,
        "stage": stage.name,
        "root": str(places.root),
        "stages_root": str(program.stages_root),
        "folder": program.folder.relative_to(program.stages_root).as_posix(),
        "run": program.run,
        "coreml": None if program.coreml is None else str(program.coreml),
        "params": dict(stage.params),
        "inputs": inputs,
        "axes": {item.role: _axes(item) for item in stage.inputs if item.many},
        "outputs": {name: str(path) for name, path in places.outputs.items()},
        "metrics": str(places.metrics),
        "plots": None if places.plots is None else str(places.plots),
        "scratch": str(places.scratch),
        "threads": stage.resources.cpu,
        "trust": sorted(item.role for item in stage.inputs if item.trust),
    }


@cache
def shell() -> Sequence[str]:
    """How a command is run: the first error ends it, also inside a pipe where bash is at hand."""
    bash = shutil.which("bash")
    return (bash, "-euo", "pipefail", "-c") if bash else ("/bin/sh", "-eu", "-c")


def _axes(item: Input) -> list[dict[str, Json]]:
    return [dict(axes) for axes in item.axes]


def _texts(value: Path | tuple[Path, ...]) -> str | list[str]:
    return [str(path) for path in value] if isinstance(value, tuple) else str(value)


def _watched(environment: Environment, places: Places) -> Mapping[str, str]:
    if places.notes is None:
        return environment.variables
    declared = (p for v in places.inputs.values() for p in (v if isinstance(v, tuple) else (v,)))
    return watched(environment.variables, places.root, places.notes, declared)


def _seconds(stage: Stage) -> float | None:
    return None if stage.timeout_minutes is None else stage.timeout_minutes * 60
