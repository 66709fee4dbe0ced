"""What each step of a stage's life means: keys, scratch, publishing, gates, records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from mlbuild.attempts import Advanced, ExecutionEvent, Finished, Logged, Started, Task
from mlbuild.errors import EXIT_DATA, MlbuildError
from mlbuild.execute import advice
from mlbuild.execute.making import TaskMaker
from mlbuild.execute.untouched import Untouched
from mlbuild.pipeline.command import mentioned_outputs
from mlbuild.plan import Planned, Planner
from mlbuild.records import (
    Decision,
    Failure,
    GateResult,
    Listener,
    Outcome,
    Reason,
    ResolvedPipeline,
    Stage,
    StageRecord,
    StageResult,
)
from mlbuild.store.cache import ObjectMissingError
from mlbuild.store.project import Store
from mlbuild.store.publish import Scratch


class Remote(Protocol):
    """The team's cache, as the steps ask it."""

    def reconsider(self, planned: Planned) -> Planned:
        """A stage that would run: perhaps somebody else has run it."""

    def regain(self, planned: Planned) -> bool:
        """Whether a result whose objects were lost here could be had again."""


class BuildSteps:
    """The queue's `Steps` over a real project. No method raises what a user can cause."""

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        store: Store,
        planner: Planner,
        tasks: TaskMaker,
        listener: Listener,
        remote: Remote,
        locked: bool = False,
    ) -> None:
        self._remote, self._locked = remote, locked
        self._pipeline, self._store, self._planner = pipeline, store, planner
        self._tasks, self._listener = tasks, listener
        self._scratch: dict[str, Scratch] = {}
        self._untouched = Untouched(store)
        self._made: set[str | None] = set()  # keys of what ran in this build

    def decide(self, name: str) -> Planned:
        """The plan's decision, made anew where it had to wait for an input."""
        planned = self._planner.decided[name]
        # Another stage with the same key may have made in this build what was not known before.
        twin = planned.key in self._made and Reason.FORCED not in planned.reasons
        if planned.decision is Decision.PENDING or (planned.decision is Decision.RUN and twin):
            planned = self._remote.reconsider(self._planner.decide(name))
        return planned

    def settle(self, planned: Planned) -> StageResult | Planned:
        """Reuses or restores; a stage whose objects are lost or corrupt is to run after all."""
        stage = planned.stage
        if planned.record is None:
            why = (planned.note,) if planned.note else ()
            return StageResult(stage.name, Outcome.EXCLUDED, notes=why)
        undeclared = planned.record.undeclared
        if undeclared and self._pipeline.strict:
            failure = advice.refusal(stage, undeclared, remembered=True)
            return self._failed(planned, failure, 0.0, undeclared)
        if planned.decision is Decision.REUSE:
            return self._judged(planned, planned.record, planned.gates, Outcome.REUSED, 0.0)
        try:
            kept = self._restore(planned, planned.record)
            self._tasks.keep_meaning(planned, self._store)
            results = self._planner.judge(stage, planned.record)
        except ObjectMissingError as error:
            self._listener.warned(f"{stage.name}: {error}; it runs again")
            reasons = planned.reasons or (Reason.OUTPUT_MISSING,)
            return replace(planned, decision=Decision.RUN, reasons=reasons)
        except (MlbuildError, OSError) as error:
            return self._refused(planned, error)
        notes = self._kept_notes(kept)
        if undeclared:
            self._listener.warned(f"{stage.name} {advice.remark(undeclared)}")
        self._planner.settle(planned, planned.record, results)
        return self._judged(planned, planned.record, results, Outcome.RESTORED, 0.0, notes)

    def _restore(self, planned: Planned, record: StageRecord) -> list[Path]:
        try:
            return self._store.restore(planned.stage, record)
        except ObjectMissingError:
            if not self._remote.regain(planned):
                raise
        return self._store.restore(planned.stage, record)

    def start(self, planned: Planned, attempt: int) -> Task | StageResult:
        """Makes scratch space and the task; a result instead where that failed."""
        stage = planned.stage
        if self._locked:
            return StageResult(stage.name, Outcome.SKIPPED, planned.reasons, planned.key)
        try:
            scratch = self._store.prepare(stage, _written_in_place(stage))
            self._scratch[stage.name] = scratch
            task = self._tasks.make(planned, scratch, attempt)
            self._untouched.begins(planned, self._tasks.inputs(planned))
            return task
        except (MlbuildError, OSError) as error:
            return self._refused(planned, error)

    def finish(self, planned: Planned, finished: Finished) -> StageResult:
        """Publishes and records what succeeded; describes what failed."""
        stage, scratch = planned.stage, self._scratch.pop(planned.stage.name)
        try:
            undeclared = () if finished.failure else self._undeclared(planned)
            failure = finished.failure or self._objection(planned, scratch, undeclared)
            if failure is not None:
                self._store.discard(scratch)
                return self._failed(planned, failure, finished.seconds, undeclared)
            record, notes = self._publish(planned, scratch, undeclared)
            results = self._planner.judge(stage, record)
        except (MlbuildError, OSError) as error:
            return self._refused(planned, error, finished.seconds)
        self._planner.settle(planned, record, results)
        return self._judged(planned, record, results, Outcome.RAN, finished.seconds, notes)

    def heard(self, event: ExecutionEvent) -> None:
        """Passes on what a running stage tells."""
        if isinstance(event, Started):
            self._listener.started(event.stage)
        elif isinstance(event, Advanced):
            self._listener.advanced(event.stage, event.done, event.total, event.text)
        elif isinstance(event, Logged):
            self._listener.logged(event.stage, event.text)
        elif event.failure is not None:
            self._store.discard(self._scratch.pop(event.stage))
            self._listener.retried(event.stage, event.failure.message)

    def ended(self, result: StageResult) -> None:
        """Passes on a stage's end."""
        self._listener.ended(result)

    def _publish(
        self, planned: Planned, scratch: Scratch, undeclared: tuple[str, ...]
    ) -> tuple[StageRecord, tuple[str, ...]]:
        published = self._store.publish(planned.stage, scratch)
        record = StageRecord(planned.key or "", planned.parts, published.outputs, undeclared)
        self._store.record(planned.stage, record)
        self._made.add(planned.key)
        self._tasks.keep_meaning(planned, self._store)
        return record, self._kept_notes(published.kept)

    def _objection(
        self, planned: Planned, scratch: Scratch, undeclared: tuple[str, ...]
    ) -> Failure | None:
        """Why a result is not kept although the stage's process succeeded."""
        lacking = [n for n in scratch.outputs if not self._written(planned.stage, scratch, n)]
        if lacking:
            names = ", ".join(f"'{n}'" for n in lacking)
            return Failure(
                f"it succeeded, but left nothing at its output {names}",
                hint="write to ${{ outputs.NAME }} (a command) or job.outputs['NAME'] (a kind)",
            )
        changed = self._planner.changed_inputs(planned)
        if changed:
            names = ", ".join(f"'{r}'" for r in changed)
            return Failure(
                f"its input {names} changed while it ran; the result was not kept",
                hint="run again",
            )
        touched = self._untouched.touched(planned)
        if touched.files:
            names = ", ".join(f"'{r}'" for r in touched.files)
            return Failure(
                f"its input {names} was touched while it ran, or replaced and put back; "
                "the result was not kept",
                hint="run again, and leave inputs alone meanwhile",
            )
        for role in touched.folders:
            self._listener.warned(
                f"{planned.stage.name}: files of its input '{role}' were written while it ran; "
                "their bytes are as before, so the result counts. If something else lay there "
                f"meanwhile: --force {planned.stage.name}"
            )
        if self._pipeline.strict and undeclared:
            return advice.refusal(planned.stage, undeclared)
        return None

    def _undeclared(self, planned: Planned) -> tuple[str, ...]:
        """What a stage that succeeded read besides its inputs; told, unless that fails it."""
        stage, watching = planned.stage, self._tasks.watching
        found = watching.ended(stage.name)
        if not found:
            return ()
        log = self._tasks.log_of(stage.name)
        for text in watching.tell(stage, found, log, self._relative(log)):
            if not self._pipeline.strict:
                self._listener.warned(text)
        return tuple(item.reference for item in found)

    def _written(self, stage: Stage, scratch: Scratch, name: str) -> bool:
        if name in scratch.in_place:
            return (self._pipeline.root / stage.output(name).path).exists()
        return os.path.exists(scratch.outputs[name])  # noqa: PTH110 - hot

    def _kept_notes(self, kept: Sequence[Path]) -> tuple[str, ...]:
        return tuple(f"changed by hand, moved to {self._relative(p)}" for p in kept)

    def _judged(
        self,
        planned: Planned,
        record: StageRecord,
        results: tuple[GateResult, ...],
        outcome: Outcome,
        seconds: float,
        notes: Sequence[str] = (),
    ) -> StageResult:
        stage = planned.stage
        if not all(g.ok for g in results):
            outcome = Outcome.EXCLUDED if stage.exclude_on_fail else Outcome.GATE_FAILED
        reasons: tuple[Reason, ...] = () if outcome is Outcome.REUSED else planned.reasons
        return StageResult(
            stage.name,
            outcome,
            reasons,
            planned.key,
            seconds,
            gates=results,
            notes=tuple(notes),
            outputs={o.name: o.path for o in stage.outputs},
            sizes={name: digest.size for name, digest in record.outputs.items()},
            undeclared=record.undeclared,
        )

    def _failed(
        self,
        planned: Planned,
        failure: Failure,
        seconds: float,
        undeclared: tuple[str, ...] = (),
    ) -> StageResult:
        return StageResult(
            planned.stage.name,
            Outcome.CANCELLED if failure.cancelled else Outcome.FAILED,
            planned.reasons,
            planned.key,
            seconds,
            failure,
            log=self._relative(self._tasks.log_of(planned.stage.name)),
            undeclared=undeclared,
        )

    def _refused(
        self, planned: Planned, error: MlbuildError | OSError, seconds: float = 0.0
    ) -> StageResult:
        """The engine's own work on a stage failed: data, disk, toolchain."""
        scratch = self._scratch.pop(planned.stage.name, None)
        if scratch is not None:
            with suppress(MlbuildError, OSError):  # an open journal is rolled back by the next run
                self._store.discard(scratch)
        code = error.exit_code if isinstance(error, MlbuildError) else EXIT_DATA
        text = error.render() if isinstance(error, MlbuildError) else _os_text(error)
        failure = Failure(text, exit_code=code)
        return StageResult(
            planned.stage.name, Outcome.FAILED, planned.reasons, planned.key, seconds, failure
        )

    def _relative(self, path: Path) -> Path:
        root = self._pipeline.root
        return path.relative_to(root) if path.is_relative_to(root) else path


def _written_in_place(stage: Stage) -> tuple[str, ...]:
    """Outputs that a command leaves at their declared path, since it does not mention them."""
    if stage.command is None:
        return ()
    mentioned = mentioned_outputs(stage.command)
    return tuple(o.name for o in stage.outputs if o.name not in mentioned)


def _os_text(error: OSError) -> str:
    where = error.filename or "the file system"
    return f"{where}: {error.strerror or error}"
