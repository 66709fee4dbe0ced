"""Watches the stages of one build: what each may read, and what it read besides."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlbuild.attempts import Task
from mlbuild.execute import advice, strace
from mlbuild.execute.logs import Mask
from mlbuild.execute.reads import noted, notes_file
from mlbuild.execute.undeclared import Found, Project
from mlbuild.records import ResolvedPipeline, Stage
from mlbuild.store.publish import Scratch

Inputs = Mapping[str, Path | tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A stage that runs."""

    task: Task
    stage: Stage
    scratch: Scratch
    inputs: Inputs
    code: tuple[Path, ...]
    began: int

    def allowed(self, root: Path) -> list[Path]:
        """What it may read: inputs, its own code and places."""
        inputs = [p for v in self.inputs.values() for p in (v if isinstance(v, tuple) else (v,))]
        outputs = [root / out.path for out in self.stage.outputs]
        return [*inputs, *outputs, *self.code, self.scratch.work, *self.scratch.outputs.values()]


class Watching:
    """Of each stage that runs, from its task to its end.

    Args:
        pipeline: what is built.
        traced: whether the processes run under strace.
    """

    def __init__(self, pipeline: ResolvedPipeline, *, traced: bool = False) -> None:
        self._project, self._traced = Project(pipeline), traced
        self._running: dict[str, _Watched] = {}

    def begins(
        self,
        task: Task,
        stage: Stage,
        scratch: Scratch,
        inputs: Inputs,
        code: tuple[Path, ...] = (),
    ) -> None:
        """Remembers what the stage may read; to be called before it runs."""
        began = os.stat(scratch.work).st_ctime_ns  # noqa: PTH116 - of that file system's clock
        self._running[stage.name] = _Watched(task, stage, scratch, inputs, code, began)

    def ended(self, stage: str) -> tuple[Found, ...]:
        """What a stage that succeeded read and does not declare; secrets do not show."""
        watched = self._running.pop(stage)
        accesses = list(noted(notes_file(watched.scratch.work)))
        if self._traced:
            trace = strace.trace_file(watched.scratch.work)
            seen = strace.accesses(trace, os.fspath(watched.task.cwd))
            accesses = [*seen, *(a for a in accesses if a.listed)]
        if not accesses:
            return ()  # most commands: nothing more is looked up for them
        allowed = watched.allowed(self._project.pipeline.root)
        found = self._project.undeclared(watched.stage, accesses, allowed, watched.began)
        hide = Mask(watched.task.masked).text
        return tuple(item._replace(reference=_readable(hide(item.reference))) for item in found)

    def tell(self, stage: Stage, found: Sequence[Found], log: Path, shown: Path) -> list[str]:
        """Writes all of it to the stage's log; the warnings that a user sees of it."""
        lines = list(advice.warnings(stage, found))
        if lines:
            with suppress(OSError), log.open("a", encoding="utf-8") as file:
                file.writelines(f"--- {line}\n" for line in lines)
        return advice.shortened(stage, lines, shown)


def _readable(text: str) -> str:
    """Names of files need not be text: what is recorded is."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
