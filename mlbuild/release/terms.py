"""What a release is asked for with, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.plan import Planned
from mlbuild.records import BuildResult, Json, Progress, ResolvedPipeline
from mlbuild.release.artifacts import Inspect
from mlbuild.release.facts import GateFacts, ReleaseFacts
from mlbuild.release.sending import Sent
from mlbuild.store.project import Store

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Project:
    """What a release asks of the engine above it."""

    pipeline: ResolvedPipeline  # with a `release:` section
    profiles: tuple[str, ...]
    sets: tuple[str, ...]
    plan: Callable[[Mapping[str, str]], Sequence[Planned]]  # given the waivers; changes nothing
    build: Callable[[Mapping[str, str]], tuple[BuildResult, Store]]  # locked: executes nothing
    inspect: Inspect
    meanings: Callable[[str], Mapping[str, Mapping[str, Json]]]
    environ: Mapping[str, str]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants released, and how."""

    folder: Path  # where folders of releases go
    dry: bool = False
    version: str | None = None
    reason: str | None = None
    waived: Mapping[str, str] = field(default_factory=dict)  # STAGE.METRIC -> reason
    channels: tuple[str, ...] = ()
    publish: bool = True
    push: bool = True


@dataclass(frozen=True, slots=True)
class Released:
    """What became of it. ``outcome``: released, would_release, nothing, stale, gate_failed, failed,
    interrupted.
    """

    outcome: str
    exit_code: int
    facts: ReleaseFacts | None = None
    folder: Path | None = None
    files: tuple[tuple[str, int], ...] = ()
    tags: tuple[str, ...] = ()  # that were made, or would be
    sent: tuple[Sent, ...] = ()
    gates: tuple[GateFacts, ...] = ()
    build: BuildResult | None = None  # what would have to run first
    remarks: tuple[str, ...] = ()
