"""The ready queue against an executor that is a list: order, resources, failures, retries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.attempts import Capabilities, ExecutionEvent, Finished, Started, Task
from mlbuild.execute.queue import Queue, impossible
from mlbuild.plan import Planned
from mlbuild.records import Decision, Failure, Outcome, Reason, Resources, Stage, StageResult


@dataclass
class FakeExecutor:
    limits: Capabilities = Capabilities(slots=2, cpu=2, gpu=0, memory_gb=8, macos=0)
    failures: dict[str, list[Failure | None]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    history: list[tuple[str, ...]] = field(default_factory=list)  # what ran together
    cancelled: list[str] = field(default_factory=list)
    hang: bool = False  # tasks end only when cancelled

    def submit(self, task: Task) -> None:
        self.running.append(task.stage)
        self.history.append(tuple(self.running))

    def wait(self, timeout: float | None = None) -> list[ExecutionEvent]:
        if self.hang and not self.cancelled:
            return [Started(name, 1) for name in self.running]
        name = self.running.pop(0)
        planned = self.failures.get(name, [])
        failure = planned.pop(0) if planned else None
        if name in self.cancelled:
            failure = Failure("cancelled", cancelled=True)
        return [Finished(name, failure, 1.0)]

    def cancel(self, stage: str) -> None:
        self.cancelled.append(stage)

    def capabilities(self) -> Capabilities:
        return self.limits

    def close(self) -> None:
        self.running.clear()


@dataclass
class FakeSteps:
    stages: Mapping[str, Stage]
    reusable: Sequence[str] = ()
    refused: Sequence[str] = ()  # stages whose task cannot be made
    gated: Sequence[str] = ()  # stages whose gate fails
    decided: list[str] = field(default_factory=list)
    told: list[ExecutionEvent] = field(default_factory=list)

    def decide(self, name: str) -> Planned:
        self.decided.append(name)
        decision = Decision.REUSE if name in self.reusable else Decision.RUN
        return Planned(self.stages[name], decision, (Reason.FIRST_RUN,))

    def settle(self, planned: Planned) -> StageResult:
        return StageResult(planned.stage.name, Outcome.REUSED)

    def start(self, planned: Planned, attempt: int) -> Task | StageResult:
        name = planned.stage.name
        if name in self.refused:
            return StageResult(name, Outcome.FAILED, failure=Failure("no data"))
        return Task(name, Path(), Path(), {})

    def finish(self, planned: Planned, finished: Finished) -> StageResult:
        name, failure = planned.stage.name, finished.failure
        if failure:
            outcome = Outcome.CANCELLED if failure.cancelled else Outcome.FAILED
            return StageResult(name, outcome, failure=failure)
        return StageResult(name, Outcome.GATE_FAILED if name in self.gated else Outcome.RAN)

    def heard(self, event: ExecutionEvent) -> None:
        self.told.append(event)

    def ended(self, result: StageResult) -> None: ...


def drain(
    edges: Mapping[str, Sequence[str]],
    executor: FakeExecutor | None = None,
    resources: Mapping[str, Resources] | None = None,
    retries: Mapping[str, int] | None = None,
    keep_going: bool = False,
    stop_after: int | None = None,
    **steps: Sequence[str],
) -> tuple[dict[str, str], FakeExecutor, FakeSteps]:
    executor = executor or FakeExecutor()
    stages = {
        name: Stage(
            name,
            name,
            resources=(resources or {}).get(name, Resources()),
            retries=(retries or {}).get(name, 0),
        )
        for name in edges
    }
    does = FakeSteps(stages, **steps)  # type: ignore[arg-type]
    queue = Queue(list(edges), stages, edges, does, executor, keep_going)
    asked = iter(range(10_000))
    results = queue.run(lambda: stop_after is not None and next(asked) >= stop_after)
    return {n: str(r.outcome) for n, r in results.items()}, executor, does


DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_parents_run_before_children() -> None:
    outcomes, executor, _ = drain(DIAMOND)
    assert outcomes == dict.fromkeys("abcd", "ran")
    assert executor.history == [("a",), ("b",), ("b", "c"), ("d",)]


def test_one_job_runs_one_stage_at_a_time_in_the_order_of_the_graph() -> None:
    one = FakeExecutor(Capabilities(1, 2, 0, 8, 0))
    _, executor, _ = drain(DIAMOND, one)
    assert executor.history == [("a",), ("b",), ("c",), ("d",)]


def test_stages_that_want_all_cpus_do_not_run_together() -> None:
    wide = dict.fromkeys("bc", Resources(cpu=2))
    _, executor, _ = drain(DIAMOND, resources=wide)
    assert ("b", "c") not in executor.history


def test_a_small_stage_passes_one_that_waits_for_resources() -> None:
    edges: dict[str, list[str]] = {"a": [], "big": [], "small": []}
    limits = FakeExecutor(Capabilities(3, 2, 0, 8, 0))
    _, executor, _ = drain(edges, limits, {"big": Resources(cpu=2)})
    assert executor.history[1] == ("a", "small")


def test_a_stage_that_wants_more_than_there_is_runs_alone() -> None:
    edges: dict[str, list[str]] = {"a": [], "huge": []}
    outcomes, executor, _ = drain(edges, resources={"huge": Resources(memory_gb=64)})
    assert outcomes["huge"] == "ran"
    assert ("a", "huge") not in executor.history


def test_a_failure_starts_nothing_more_and_skips_what_is_behind_it() -> None:
    broken = FakeExecutor(Capabilities(1, 2, 0, 8, 0), failures={"b": [Failure("boom")]})
    outcomes, _, _ = drain(DIAMOND, broken)
    assert outcomes == {"a": "ran", "b": "failed", "c": "skipped", "d": "skipped"}


def test_keep_going_runs_what_a_failure_leaves_possible() -> None:
    broken = FakeExecutor(failures={"b": [Failure("boom")]})
    outcomes, _, _ = drain(DIAMOND, broken, keep_going=True)
    assert outcomes == {"a": "ran", "b": "failed", "c": "ran", "d": "skipped"}


def test_a_failed_gate_blocks_what_is_behind_it_even_with_keep_going() -> None:
    outcomes, _, _ = drain(DIAMOND, keep_going=True, gated=["b"])
    assert outcomes == {"a": "ran", "b": "gate_failed", "c": "ran", "d": "skipped"}


def test_a_task_that_cannot_be_made_is_a_failure_of_its_stage() -> None:
    outcomes, executor, _ = drain(DIAMOND, refused=["b"], keep_going=True)
    assert outcomes == {"a": "ran", "b": "failed", "c": "ran", "d": "skipped"}
    assert all("b" not in together for together in executor.history)


def test_retries_are_used_up_before_a_stage_fails() -> None:
    twice = FakeExecutor(failures={"a": [Failure("one"), Failure("two")]})
    outcomes, _, steps = drain({"a": []}, twice, retries={"a": 2})
    assert outcomes == {"a": "ran"}
    assert [type(e) for e in steps.told] == [Finished, Finished]


def test_without_retries_the_first_failure_counts() -> None:
    outcomes, _, _ = drain({"a": []}, FakeExecutor(failures={"a": [Failure("one")]}))
    assert outcomes == {"a": "failed"}


def test_a_lost_server_is_no_fault_of_the_stage() -> None:
    lost = FakeExecutor(failures={"a": [Failure("server lost", retryable=True)]})
    assert drain({"a": []}, lost)[0] == {"a": "ran"}


def test_a_server_that_is_lost_twice_fails_the_stage() -> None:
    failure = Failure("server lost", retryable=True)
    lost = FakeExecutor(failures={"a": [failure, failure]})
    assert drain({"a": []}, lost)[0] == {"a": "failed"}


def test_an_interrupt_cancels_what_runs_and_starts_nothing_more() -> None:
    hanging = FakeExecutor(hang=True)
    outcomes, executor, _ = drain(DIAMOND, hanging, stop_after=3)
    assert outcomes == dict.fromkeys("abcd", "cancelled")
    assert executor.cancelled == ["a"]


def test_reused_stages_need_no_executor() -> None:
    outcomes, executor, _ = drain(DIAMOND, reusable="abcd")
    assert outcomes == dict.fromkeys("abcd", "reused")
    assert executor.history == []


def test_ten_thousand_stages_are_drained_without_recursion() -> None:
    edges = {str(n): [str(n - 1)] if n else [] for n in range(10_000)}
    outcomes, _, _ = drain(edges, reusable=list(edges))
    assert set(outcomes.values()) == {"reused"}


def test_a_gpu_cannot_be_made_up() -> None:
    limits = Capabilities(1, 2, 0, 8, 0)
    assert impossible(limits, Resources(gpu=1)) == "1 GPU, and this machine has 0"
    assert impossible(limits, Resources(macos=1)) == "macOS, and this machine runs Linux"
    assert impossible(limits, Resources(cpu=64)) is None
