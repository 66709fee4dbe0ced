"""Builds a task: the process that does one attempt at one stage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mlbuild
from mlbuild.execute.environment import stage_environment
from mlbuild.facts import Shelf
from mlbuild.pipeline.command import render
from mlbuild.plan import Planned
from mlbuild.records import (
    DatasetRef,
    Input,
    Json,
    PathRef,
    Progress,
    ResolvedPipeline,
    Source,
    Stage,
    Task,
)
from mlbuild.registry import Registry
from mlbuild.store.project import Scratch
from mlbuild.store.publish import slug
from mlbuild.toolchains import Toolchains

JOB_VERSION = 1

_COREML = Path(mlbuild.__file__).parent / "coreml"
_RUNTIME = "mlbuild.coreml"


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
    environment = stage_environment(stage, caller, python, worker=False)
    return Task(
        stage=stage.name,
        cwd=places.root,
        log=places.log,
        env=environment.variables,
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
    strict: bool = False,
    attempt: int = 1,
) -> Task:
    """The task of a stage with a kind: a job for the worker.

    Raises:
        StageError: a secret is not set.
    """
    environment = stage_environment(stage, caller, interpreter.python, worker=True)
    # A fork server has imported its modules before a stage's own environment could be applied,
    # and CUDA does not survive a fork.
    own_process = program.fresh or bool(stage.env or stage.secrets) or stage.resources.gpu > 0
    return Task(
        stage=stage.name,
        cwd=places.root,
        log=places.log,
        env=environment.variables,
        job=job_of(stage, places, program, strict),
        python=interpreter.python,
        preload=interpreter.preload,
        fresh=own_process,
        timeout_seconds=_seconds(stage),
        resources=stage.resources,
        masked=environment.masked,
        attempt=attempt,
    )


def job_of(stage: Stage, places: Places, program: Program, strict: bool) -> dict[str, Json]:
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
        "declared": _flat(inputs.values()),
        "strict": strict,
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


def _flat(values: Iterable[str | list[str]]) -> list[str]:
    return [p for v in values for p in (v if isinstance(v, list) else [v])]


def _seconds(stage: Stage) -> float | None:
    return None if stage.timeout_minutes is None else stage.timeout_minutes * 60


def log_file(root: Path, pipeline: str, stage: str) -> Path:
    """Where a stage's log lies. Two pipelines of a project may both have a `train`."""
    return root / ".mlbuild" / "logs" / pipeline / f"{slug(stage)}.log"


class TaskMaker:
    """Builds the tasks of one pipeline; looks up what its stages share once."""

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        shelf: Shelf,
        kinds: Registry,
        toolchains: Toolchains,
        progress: Progress,
        caller: Mapping[str, str] | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            pipeline: whose stages will be attempted.
            shelf: knows where datasets lie.
            kinds: knows the code of kinds.
            toolchains: makes the environments that are missing.
            progress: told while a toolchain is made.
            caller: the environment of whoever runs the build; by default this process's.
        """
        self._pipeline, self._shelf, self._kinds = pipeline, shelf, kinds
        self._toolchains, self._progress = toolchains, progress
        self._caller = os.environ if caller is None else caller
        self._stages = {stage.name: stage for stage in pipeline.stages}
        self._interpreters: dict[str, Interpreter] = {}

    def make(self, planned: Planned, scratch: Scratch, attempt: int) -> Task:
        """The task of one attempt.

        Raises:
            MlbuildError: a secret is not set, or a toolchain or dataset could not be had.
        """
        stage, caller = planned.stage, self._caller
        places = self._places(planned, scratch)
        interpreter = None if stage.toolchain is None else self._interpreter(stage.toolchain)
        if stage.kind is None:
            command = self._command(stage, places, scratch)
            return command_task(stage, places, command, caller, interpreter, attempt)
        program = self._program(stage.kind)
        assert interpreter is not None  # every kind names its toolchain
        strict = self._pipeline.strict
        return job_task(stage, places, program, interpreter, caller, strict, attempt)

    def log_of(self, stage: Stage) -> Path:
        """Where the stage's log lies."""
        return log_file(self._pipeline.root, self._pipeline.name, stage.name)

    def _places(self, planned: Planned, scratch: Scratch) -> Places:
        stage, root = planned.stage, self._pipeline.root
        inputs: dict[str, Path | tuple[Path, ...]] = {}
        for item in planned.inputs or stage.inputs:
            paths = tuple(self._path(source) for source in item.sources)
            inputs[item.role] = paths if item.many else paths[0]
        artifacts = {o.name: scratch.outputs[o.name] for o in stage.outputs if o.role == "artifact"}
        plots = scratch.plots if any(o.role == "plots" for o in stage.outputs) else None
        log = self.log_of(stage)
        return Places(root, log, inputs, artifacts, scratch.tmp, scratch.metrics, plots)

    def _path(self, source: Source) -> Path:
        root = self._pipeline.root
        if isinstance(source, DatasetRef):
            return self._shelf.path(source.name)
        if isinstance(source, PathRef):
            return root / source.path
        return root / self._stages[source.stage].output(source.output).path

    def _command(self, stage: Stage, places: Places, scratch: Scratch) -> str:
        # Relative where possible, so that a command's output cannot depend on the checkout's place.
        inputs = {
            role: [self._short(p) for p in value]
            if isinstance(value, tuple)
            else self._short(value)
            for role, value in places.inputs.items()
        }
        outputs = {name: self._short(path) for name, path in scratch.outputs.items()}
        return render(stage.command or "", inputs, outputs)

    def _short(self, path: Path) -> str:
        root = self._pipeline.root
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)

    def _program(self, kind: str) -> Program:
        loaded = self._kinds.get(kind)
        coreml = _COREML if loaded.kind.uses_coreml else None
        return Program(loaded.stages_root, loaded.folder, coreml=coreml, fresh=loaded.kind.fresh)

    def _interpreter(self, name: str) -> Interpreter:
        if name not in self._interpreters:
            python = self._toolchains.ensure(name, self._progress)
            preload = self._toolchains.lock(name).preload
            if preload and self._needs_runtime(name):
                preload = (*preload, _RUNTIME)
            self._interpreters[name] = Interpreter(python, preload)
        return self._interpreters[name]

    def _needs_runtime(self, toolchain: str) -> bool:
        """Whether any stage of the toolchain runs Core ML models: one server serves them all."""
        return any(
            stage.kind is not None
            and stage.toolchain == toolchain
            and self._kinds.get(stage.kind).kind.uses_coreml
            for stage in self._pipeline.stages
        )
