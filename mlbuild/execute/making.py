"""From a planned stage to a task: where its inputs lie, which Python runs it, which code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlbuild import coreml, meaning
from mlbuild.attempts import Task
from mlbuild.execute import strace
from mlbuild.execute.environment import needed
from mlbuild.execute.reads import notes_file
from mlbuild.execute.tasks import Interpreter, Places, Program, command_task, job_task
from mlbuild.execute.watching import Watching
from mlbuild.facts import Shelf
from mlbuild.pipeline.command import render
from mlbuild.plan import Planned
from mlbuild.records import (
    DatasetRef,
    Decision,
    Input,
    PathRef,
    Progress,
    ResolvedPipeline,
    Source,
    Stage,
    StageOutput,
)
from mlbuild.store.project import Store
from mlbuild.store.publish import Scratch, slug

if TYPE_CHECKING:  # a build of commands alone needs neither
    from mlbuild.registry import Registry
    from mlbuild.toolchains import Toolchains

_COREML = Path(coreml.__file__).parent


def log_path(state_dir: Path, pipeline: str, stage: str) -> Path:
    """The newest log of a stage; pipelines of one project do not share them."""
    return state_dir / "logs" / pipeline / f"{slug(stage)}.log"


class TaskMaker:
    """Makes the tasks of one build."""

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        shelf: Shelf,
        kinds: Callable[[], Registry],
        toolchains: Callable[[], Toolchains],
        state_dir: Path,
        progress: Progress,
        traced: bool = False,
    ) -> None:
        self._pipeline, self._shelf, self._kinds = pipeline, shelf, kinds
        self._toolchains, self._state_dir, self._progress = toolchains, state_dir, progress
        self._stages = {s.name: s for s in pipeline.stages}
        self._traced = traced
        self.watching = Watching(pipeline, traced=traced)
        if traced:
            strace.program()  # or nothing begins
        secrets = [name for stage in pipeline.stages for name in stage.secrets]
        self._caller = needed(os.environ, secrets)
        self._lies: dict[Source, Path] = {}
        self._logs = os.fspath(log_path(state_dir, pipeline.name, "s").parent)
        self._root = os.fspath(pipeline.root)
        self._below = self._root.rstrip("/") + "/"

    def ensure_toolchains(self, planned: Iterable[Planned]) -> None:
        """Makes what will be needed before anything runs, so that a build does not stop midway.

        Raises:
            ToolchainError: one could not be made.
        """
        stale = (p.stage for p in planned if p.decision in (Decision.RUN, Decision.PENDING))
        for name in dict.fromkeys(s.toolchain for s in stale if s.toolchain):
            self._toolchains().ensure(name, self._progress)

    def make(self, planned: Planned, scratch: Scratch, attempt: int) -> Task:
        """The task of one attempt.

        What it reads is watched from now on.

        Raises:
            DataError: a dataset cannot be had.
            StageError: a secret is not set.
            ToolchainError: its toolchain cannot be made.
        """
        stage = planned.stage
        if planned.inputs != stage.inputs:
            stage = replace(stage, inputs=planned.inputs)  # without what gates took out
        inputs = self.inputs(planned)
        places = self._places(stage, scratch, inputs)
        code: tuple[Path, ...] = ()
        interpreter = self._interpreter(stage)
        if stage.command is not None:
            command = render(stage.command, self._words(inputs), self._targets(scratch))
            task = command_task(stage, places, command, self._caller, interpreter, attempt)
        else:
            assert interpreter is not None and stage.kind is not None
            program = self._program(stage)
            stage = replace(stage, inputs=tuple(self._trusted(item) for item in stage.inputs))
            code = (program.folder, program.stages_root / "_shared", _COREML)
            task = job_task(stage, places, program, interpreter, self._caller, attempt)
        if self._traced:
            task = replace(task, under=strace.prefix(scratch.work))
        self.watching.begins(task, stage, scratch, inputs, code)
        return task

    def _trusted(self, item: Input) -> Input:
        """What a kind of this pipeline wrote is as trusted as the kind, whose code ran already."""
        made = [isinstance(s, StageOutput) and self._stages[s.stage].kind for s in item.sources]
        return replace(item, trust=True) if made and all(made) else item

    def _program(self, stage: Stage) -> Program:
        assert stage.kind is not None
        loaded = self._kinds().get(stage.kind)
        return Program(
            loaded.stages_root,
            loaded.folder,
            stage.run,
            coreml=_COREML if loaded.kind.uses_coreml else None,
            fresh=loaded.kind.fresh,
        )

    def inputs(self, planned: Planned) -> dict[str, Path | tuple[Path, ...]]:
        """Where a stage's inputs lie, by role."""
        return {item.role: self._paths(item) for item in planned.inputs}

    def keep_meaning(self, planned: Planned, store: Store) -> None:
        """Notes what the digests in a stage's key stand for, so that `explain` can tell."""
        meaning.keep(planned, store, self._kinds, self._toolchains)

    def log_of(self, stage: str) -> Path:
        """Where a stage's log lies."""
        return Path(f"{self._logs}/{slug(stage)}.log")

    def _places(
        self, stage: Stage, scratch: Scratch, inputs: Mapping[str, Path | tuple[Path, ...]]
    ) -> Places:
        return Places(
            root=self._pipeline.root,
            log=self.log_of(stage.name),
            inputs=inputs,
            outputs={
                o.name: scratch.outputs[o.name] for o in stage.outputs if o.role == "artifact"
            },
            scratch=scratch.tmp,
            metrics=scratch.metrics,
            notes=notes_file(scratch.work),
            plots=scratch.plots if any(o.role == "plots" for o in stage.outputs) else None,
        )

    def _interpreter(self, stage: Stage) -> Interpreter | None:
        if stage.toolchain is None:
            return None
        python = self._toolchains().ensure(stage.toolchain, self._progress)
        lock = self._toolchains().lock(stage.toolchain)
        return Interpreter(python, lock.preload, lock.environ)

    def _paths(self, item: Input) -> Path | tuple[Path, ...]:
        found = tuple(self._path(source) for source in item.sources)
        return found if item.many else found[0]

    def _path(self, source: Source) -> Path:
        """Where a source lies; asked for by all that read it, each before and after it runs."""
        if isinstance(source, DatasetRef):
            return self._shelf.path(source.name)
        found = self._lies.get(source)
        if found is None:
            found = self._lies[source] = self._within(source)
        return found

    def _within(self, source: PathRef | StageOutput) -> Path:
        root = self._pipeline.root
        if isinstance(source, PathRef):
            return root / source.path
        return root / self._stages[source.stage].output(source.output).path

    def _words(self, inputs: Mapping[str, Path | tuple[Path, ...]]) -> dict[str, str | list[str]]:
        """Inputs as a command sees them: relative to the root, where it runs."""
        return {
            role: [self._word(p) for p in path] if isinstance(path, tuple) else self._word(path)
            for role, path in inputs.items()
        }

    def _targets(self, scratch: Scratch) -> dict[str, str]:
        return {name: self._word(path) for name, path in scratch.outputs.items()}

    def _word(self, path: Path) -> str:
        text = os.fspath(path)
        word = "." if text == self._root else text.removeprefix(self._below)
        return f"./{word}" if word.startswith("-") else word  # no command may take it for an option
