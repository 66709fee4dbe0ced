"""The ready queue: starts what can start, within resources, until nothing is left.

It knows order, resources, retries and cancelling. What a stage means (keys, publishing, gates,
the ledger) is behind `Steps`, which the build page implements.
"""

from __future__ import annotations

import gc
import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mlbuild.attempts import Capabilities, ExecutionEvent, Executor, Finished, Task
from mlbuild.plan import Planned
from mlbuild.records import Decision, Outcome, Resources, Stage, StageResult

# A signal handler can only set a flag (an exception could lose an event that was just read).
_OVERTAKEN = 2  # times its slots: how many others may start before one that waits
_POLL_SECONDS = 0.25

PASSING = frozenset({Outcome.RAN, Outcome.REUSED, Outcome.RESTORED, Outcome.EXCLUDED})


class Steps(Protocol):
    """What the build does at each step of a stage's life."""

    def decide(self, name: str) -> Planned: ...

    def settle(self, planned: Planned) -> StageResult | Planned:
        """Reuses or restores; also tells of stages that are excluded.

        A stage whose stored result turns out to be lost comes back, decided to run.
        """

    def start(self, planned: Planned, attempt: int) -> Task | StageResult:
        """A task, or the result where there could not be one (data, toolchain, disk)."""

    def finish(self, planned: Planned, finished: Finished) -> StageResult:
        """Publishes and records a stage that succeeded; describes one that failed."""

    def heard(self, event: ExecutionEvent) -> None: ...

    def ended(self, result: StageResult) -> None: ...


@dataclass
class Queue:
    """State of one build; `run` drains it."""

    order: Sequence[str]
    stages: Mapping[str, Stage]
    parents: Mapping[str, Sequence[str]]  # within the selection
    steps: Steps
    executor: Executor
    keep_going: bool = False
    results: dict[str, StageResult] = field(default_factory=dict)
    stopping: bool = False  # a stage failed: start no more
    interrupted: bool = False

    def __post_init__(self) -> None:
        self._rank = {name: n for n, name in enumerate(self.order)}
        self._open = {name: len(self.parents[name]) for name in self.order}
        self._children: dict[str, list[str]] = {name: [] for name in self.order}
        for name, parents in self.parents.items():
            for parent in parents:
                self._children[parent].append(name)
        self._ready = [self._rank[n] for n in self.order if self._open[n] == 0]
        heapq.heapify(self._ready)
        # Ready, but the resources are taken. By what they want: where the first of a kind does
        # not fit, ten thousand like it are not looked at.
        self._waiting: dict[Resources, deque[Planned]] = {}
        self._overtaken: dict[Resources, int] = {}  # how many others were started meanwhile
        self._running: dict[str, Planned] = {}
        self._attempts: dict[str, int] = {}
        self._limits = self.executor.capabilities()

    def run(self, asked_to_stop: Callable[[], bool] = lambda: False) -> dict[str, StageResult]:
        """Returns the result of every stage of the selection.

        Args:
            asked_to_stop: looked at a few times a second; once true, what runs is cancelled.
        """
        gc.freeze()  # the plan stays: looking through it again and again costs a twentieth
        try:
            while self._ready or self._waiting or self._running:
                if not self.interrupted and asked_to_stop():
                    self._interrupt()
                self._fill()
                if self._running:
                    for event in self.executor.wait(_POLL_SECONDS):
                        self._heard(event)
        finally:
            gc.unfreeze()
        return self.results

    def _interrupt(self) -> None:
        self.interrupted = self.stopping = True
        for name in list(self._running):
            self.executor.cancel(name)

    def _fill(self) -> None:
        """Starts what fits; settles, without a process, whatever needs none."""
        for wanted, alike in list(self._waiting.items()):
            while alike and (self.stopping or self._fits(wanted)):
                self._start_or_wait(alike.popleft())
            if not alike:
                del self._waiting[wanted]
        # Once something waits for resources, later stages may still be settled without running.
        while self._ready and len(self._running) < self._limits.slots:
            self._enter(self.order[heapq.heappop(self._ready)])
        if self.stopping and not self._running:
            while self._ready:
                self._enter(self.order[heapq.heappop(self._ready)])

    def _enter(self, name: str) -> None:
        outcome = self._hindrance(name)
        if outcome is not None:
            self._end(StageResult(name, outcome))
            return
        planned = self.steps.decide(name)
        if planned.decision is Decision.RUN:
            self._start_or_wait(planned)
            return
        if planned.decision is Decision.PENDING and not planned.excluded:
            self._end(StageResult(name, Outcome.SKIPPED, planned.reasons))
            return
        settled = self.steps.settle(planned)
        if isinstance(settled, Planned):
            self._start_or_wait(settled)
        else:
            self._ended(settled)

    def _hindrance(self, name: str) -> Outcome | None:
        if self.interrupted:
            return Outcome.CANCELLED
        if any(self.results[p].outcome not in PASSING for p in self.parents[name]):
            return Outcome.SKIPPED
        return Outcome.SKIPPED if self.stopping else None

    def _start_or_wait(self, planned: Planned) -> None:
        name = planned.stage.name
        if self.stopping:
            self._end(StageResult(name, Outcome.CANCELLED if self.interrupted else Outcome.SKIPPED))
        elif self._fits(planned.stage.resources):
            self._submit(planned)
        else:
            self._waiting.setdefault(planned.stage.resources, deque()).append(planned)

    def _submit(self, planned: Planned) -> None:
        name = planned.stage.name
        self._attempts[name] = attempt = self._attempts.get(name, 0) + 1
        self._overtaken.pop(planned.stage.resources, None)
        for other in self._waiting:
            if self._delays(planned.stage.resources, other):
                self._overtaken[other] = self._overtaken.get(other, 0) + 1
        task = self.steps.start(planned, attempt)
        if isinstance(task, StageResult):
            self._ended(task)
            return
        self._running[name] = planned
        self.executor.submit(task)

    def _fits(self, wanted: Resources) -> bool:
        if not self._running:
            return True  # alone on the machine, a stage may take all of it
        if len(self._running) >= self._limits.slots or self._lacking(wanted):
            return False
        patience = _OVERTAKEN * self._limits.slots
        tired = [other for other, count in self._overtaken.items() if count >= patience]
        return not any(self._delays(wanted, other) for other in tired)

    def _delays(self, wanted: Resources, other: Resources) -> bool:
        """Whether one that is started now takes what another one waits for."""
        return wanted != other and any(getattr(wanted, name) for name in self._lacking(other))

    def _lacking(self, wanted: Resources) -> list[str]:
        used = [p.stage.resources for p in self._running.values()]
        return lacking(self._limits, [*used, wanted])

    def _heard(self, event: ExecutionEvent) -> None:
        if not isinstance(event, Finished):
            self.steps.heard(event)
            return
        planned = self._running.pop(event.stage)
        if event.failure is not None and self._may_retry(planned.stage, event):
            self.steps.heard(event)
            self._start_or_wait(planned)
            return
        self._ended(self.steps.finish(planned, event))

    def _may_retry(self, stage: Stage, event: Finished) -> bool:
        failure = event.failure
        if failure is None or failure.cancelled or self.stopping:
            return False
        # A fork server that was lost is no fault of the stage: one more try is always given.
        tries = max(stage.retries, 1 if failure.retryable else 0)
        return self._attempts[stage.name] <= tries

    def _ended(self, result: StageResult) -> None:
        """A stage that was tried ended; unless told to keep going, a failure stops the rest."""
        if result.outcome not in PASSING and not self.keep_going:
            self.stopping = True
        self._end(result)

    def _end(self, result: StageResult) -> None:
        self.results[result.stage] = result
        self.steps.ended(result)
        for child in self._children[result.stage]:
            self._open[child] -= 1
            if self._open[child] == 0:
                heapq.heappush(self._ready, self._rank[child])


def lacking(limits: Capabilities, wanted: Sequence[Resources]) -> list[str]:
    """Of what there is too little for all of these to run at one time."""
    names = ("cpu", "gpu", "memory_gb", "macos")
    return [n for n in names if sum(getattr(w, n) for w in wanted) > getattr(limits, n)]


def impossible(limits: Capabilities, wanted: Resources) -> str | None:
    """What a stage asks for that this executor never has, or nothing.

    A stage that wants more CPUs or memory than there are runs alone; a GPU or a Mac it cannot do
    without.
    """
    if wanted.gpu > limits.gpu:
        return f"{wanted.gpu} GPU, and this machine has {limits.gpu}"
    if wanted.macos > limits.macos:
        return "macOS, and this machine runs Linux"
    return None
