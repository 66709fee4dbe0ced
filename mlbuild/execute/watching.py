"""Watches the stages of one build: what each may read, and what it read besides."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlbuild.execute import advice, strace
from mlbuild.execute.logs import Mask
from mlbuild.execute.reads import noted, notes_file
from mlbuild.execute.undeclared import Found, Project
from mlbuild.records import ResolvedPipeline, Stage, Task
from mlbuild.store.publish import Scratch

Inputs = Mapping[str, Path | tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A stage that runs."""

    task: Task
    stage: Stage
    work: Path
    allowed: tuple[Path, ...]
    began: int


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
        code: Iterable[Path] = (),
    ) -> None:
        """Remembers what the stage may read; to be called before it runs."""
        root = self._project.pipeline.root
        allowed = [*_flat(inputs.values()), scratch.work, *scratch.outputs.values(), *code]
        allowed += [root / out.path for out in stage.outputs]
        began = os.stat(scratch.work).st_ctime_ns  # noqa: PTH116 - of that file system's clock
        self._running[stage.name] = _Watched(task, stage, scratch.work, tuple(allowed), began)

    def ended(self, stage: str) -> tuple[Found, ...]:
        """What a stage that succeeded read and does not declare; secrets do not show."""
        watched = self._running.pop(stage)
        accesses = noted(notes_file(watched.work))
        if self._traced:
            root = os.fspath(watched.task.cwd)
            seen = strace.accesses(strace.trace_file(watched.work), root)
            accesses = iter([*seen, *(a for a in accesses if a.listed)])
        found = self._project.undeclared(watched.stage, accesses, watched.allowed, watched.began)
        hide = Mask(watched.task.masked).text
        return tuple(item._replace(reference=_readable(hide(item.reference))) for item in found)

    def tell(self, stage: Stage, found: Sequence[Found], log: Path, shown: Path) -> list[str]:
        """Writes all of it to the stage's log; the warnings that a user sees of it."""
        lines = list(advice.warnings(stage, found))
        if lines:
            with suppress(OSError), log.open("a", encoding="utf-8") as file:
                file.writelines(f"--- {line}\n" for line in lines)
        return advice.shortened(stage, lines, shown)


def _flat(values: Iterable[Path | tuple[Path, ...]]) -> list[Path]:
    return [p for v in values for p in (v if isinstance(v, tuple) else (v,))]


def _readable(text: str) -> str:
    """Names of files need not be text: what is recorded is."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
