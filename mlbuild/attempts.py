"""Attempts at stages: what an executor is given, and what it tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlbuild.records import Failure, Json, Resources


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at one stage, as an executor takes it.

    Exactly one of ``argv`` (a `run:` command, spawned directly) and ``job`` (for the worker,
    run by ``python``) is set.
    """

    stage: str
    cwd: Path
    log: Path
    env: Mapping[str, str]  # the whole environment of the process, nothing is inherited
    argv: Sequence[str] | None = None
    job: Mapping[str, Json] | None = None
    python: Path | None = None
    preload: tuple[str, ...] = ()  # modules the fork server imports
    fresh: bool = False  # never fork: a process of its own
    timeout_seconds: float | None = None
    resources: Resources = field(default_factory=Resources)
    masked: tuple[str, ...] = ()  # values of secrets
    under: tuple[str, ...] = ()  # a tracer, which stands before the command or the worker
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Started:
    stage: str
    pid: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """A stage reported progress."""

    stage: str
    done: float
    total: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Logged:
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    stage: str
    failure: Failure | None
    seconds: float


ExecutionEvent = Started | Advanced | Logged | Finished


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor has to give at one time."""

    slots: int
    cpu: int
    gpu: int
    memory_gb: float
    macos: int


class Executor(Protocol):
    """Runs tasks; knows nothing of pipelines, keys or the ledger."""

    def submit(self, task: Task) -> None: ...

    def wait(self, timeout: float | None = None) -> list[ExecutionEvent]: ...

    def cancel(self, stage: str) -> None: ...

    def capabilities(self) -> Capabilities: ...

    def close(self) -> None: ...
