"""Frozen value types, closed enums and Protocols that the layers hand to one another.

A lower layer that needs something of a higher one takes it as a Protocol from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from mlbuild.errors import Place

Json = Any  # None, bool, int, float, str, list[Json], dict[str, Json]
Axes = tuple[tuple[str, Json], ...]  # matrix axes of a variant, sorted by name
TWIN = "-release"  # behind a stage's name: the same stage, of the last release's artifact


class Decision(StrEnum):
    """What the planner wants to do with a stage."""

    REUSE = "reuse"
    RESTORE = "restore"
    RUN = "run"
    PENDING = "pending"


class Reason(StrEnum):
    """Why a stage is not simply reused."""

    FIRST_RUN = "first_run"
    INPUT_CHANGED = "input_changed"
    PARAMS_CHANGED = "params_changed"
    CODE_CHANGED = "code_changed"
    TOOLCHAIN_CHANGED = "toolchain_changed"
    ENVIRONMENT_CHANGED = "environment_changed"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_MODIFIED = "output_modified"
    FORCED = "forced"
    UPSTREAM_PENDING = "upstream_pending"


class Outcome(StrEnum):
    """How a stage of a build ended."""

    RAN = "ran"
    REUSED = "reused"
    RESTORED = "restored"
    FAILED = "failed"
    GATE_FAILED = "gate_failed"
    EXCLUDED = "excluded"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


# --- the resolved pipeline ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageOutput:
    """An input that is another stage's output; the stage is one variant, fully named."""

    stage: str
    output: str


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """An input that is a dataset of the pipeline, or an artifact of its last release."""

    name: str  # "photos", "release.model"

    def __str__(self) -> str:
        """As the pipeline file names it."""
        return self.name if self.name.startswith("release.") else f"datasets.{self.name}"


@dataclass(frozen=True, slots=True)
class PathRef:
    """An input that is a file or folder; relative to the project root, or absolute."""

    path: str


Source = StageOutput | DatasetRef | PathRef


@dataclass(frozen=True, slots=True)
class Input:
    """One role of a stage. ``many`` inputs (``{all: ...}``) hold a list, all others one source."""

    role: str
    sources: tuple[Source, ...]
    many: bool = False
    axes: tuple[Axes, ...] = ()  # of a `many` input: the variant's axes, one for each source
    trust: bool = False
    place: Place | None = field(default=None, compare=False)
    optional: bool = False  # it may be absent: of a release that there is not yet


@dataclass(frozen=True, slots=True)
class Output:
    """One artifact of a stage; ``path`` is relative to the project root, with '/'."""

    name: str
    path: str
    type: str = "Any"
    cache: bool = True  # False: kept in git, not in the DVC cache
    role: str = "artifact"  # artifact, metrics (metrics.json) or plots (folder)
    push: bool = True  # False: stays on the machine that made it


@dataclass(frozen=True, slots=True)
class Gate:
    """Limits of one metric."""

    metric: str
    min: float | None = None
    max: float | None = None
    min_lower: float | None = None  # of the 95 % interval
    min_upper: float | None = None
    max_lower: float | None = None
    max_upper: float | None = None
    max_drop: float | None = None  # below the last release's figure
    max_rise: float | None = None  # above it
    relative: tuple[str, ...] = ()  # which of these two are shares of that figure
    first: tuple[tuple[str, float], ...] = ()  # what holds while there is no release
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a stage occupies while it runs. ``cpu`` is also its thread count."""

    cpu: int = 1
    gpu: int = 0
    memory_gb: float = 0.0
    macos: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One variant of one stage, fully resolved: what can be planned and executed."""

    name: str  # "quantize[bits=4]"
    base: str  # "quantize"
    axes: Axes = ()
    kind: str | None = None  # "quantize/palettize"; None for a `run:` command
    command: str | None = None  # template; ${{ inputs.x }} and ${{ outputs.x }} still stand in it
    params: Mapping[str, Json] = field(default_factory=dict)  # with defaults, JSON-able
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    needs: tuple[str, ...] = ()  # order only; variants' full names
    gates: tuple[Gate, ...] = ()
    exclude_on_fail: bool = False
    resources: Resources = Resources()
    timeout_minutes: float | None = None
    retries: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    toolchain: str | None = None  # None: the engine's own Python (`run:` stages)
    run: str = "run.py"  # the file of the kind's folder that does the work
    place: Place | None = field(default=None, compare=False)

    @property
    def twin(self) -> str | None:
        """The stage that measures the last release's artifact as this one does today's."""
        name = f"{self.base}{TWIN}{self.name[len(self.base) :]}"
        return name if name in self.needs else None

    def output(self, name: str) -> Output:
        """The output of that name; KeyError where there is none."""
        for out in self.outputs:
            if out.name == name:
                return out
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Where data comes from. ``scheme`` is path, pypi, url, git, hf or release; ``options`` are its
    keys.
    """

    name: str
    scheme: str
    location: str  # the path, requirement, or URL
    options: Mapping[str, Json] = field(default_factory=dict)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ToolchainSpec:
    """A toolchain that the pipeline file defines beside the built-in ones."""

    name: str
    python: str  # "3.11"
    requirements: str  # a path relative to the project root
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """The pipeline's ``release:`` section: what is released, and under what terms."""

    name: str  # of the release and of its tags, "dogs"
    artifacts: Mapping[str, StageOutput]  # by name; the first one is the main one
    gates: tuple[tuple[str, Gate], ...] = ()  # (stage, gate), beside those of the stages
    first: str = "1.0.0"  # the first version
    channels: tuple[str, ...] = ()  # that a release may be assigned to: "beta", "prod"
    publish: tuple[Mapping[str, Json], ...] = ()  # [{"folder": "../releases"}, ...]
    sign: Mapping[str, Json] = field(default_factory=dict)
    card: Mapping[str, Json] = field(default_factory=dict)
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ResolvedPipeline:
    """A pipeline after params, profiles, matrix and references: facts only."""

    name: str
    file: Path
    root: Path
    params: Mapping[str, Json]
    stages: tuple[Stage, ...]  # in the order of the file
    datasets: Mapping[str, Dataset]
    toolchains: Mapping[str, ToolchainSpec]
    ledger: bool = True
    strict: bool = False  # undeclared inputs are errors
    release: ReleaseSpec | None = None


# --- what the planner and the store know -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Digest:
    """What DVC records of a file or folder. ``md5`` ends in ``.dir`` for a folder."""

    md5: str
    size: int = 0
    nfiles: int | None = None  # folders only
    isexec: bool = False  # files only


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What is known of one finished stage; equal keys mean interchangeable outputs.

    ``parts`` are the parts of the key, for reasons and ``explain``: kind, key_version, code,
    toolchain, params, env, threads, inputs (role -> md5, or a list of [axes, md5] for many).
    """

    key: str
    parts: Mapping[str, Json]
    outputs: Mapping[str, Digest]
    undeclared: tuple[str, ...] = ()  # what it read and did not declare, as inputs would name it


# --- progress and execution --------------------------------------------------------------------

# Called with (done, total or None, text). Must be cheap; the receiver throttles.
Progress = Callable[[float, float | None, str], None]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stage's process did not succeed."""

    message: str
    hint: str | None = None
    traceback: str | None = None  # the stage's own
    tail: tuple[str, ...] = ()  # last lines of its log
    retryable: bool = False
    timed_out: bool = False
    cancelled: bool = False
    exit_code: int = 1  # what the build exits with where this is its gravest failure


# --- what a build returns ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate against the recorded metric."""

    gate: Gate
    value: float | None
    ok: bool
    text: str  # "psnr_db 38.2 dB is below min 40"
    released: float | None = None  # what the last release has, where it is compared
    waiver: str | None = None  # the reason why it may fail


@dataclass(frozen=True, slots=True)
class StageResult:
    """How one stage of a build ended."""

    stage: str
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    key: str | None = None
    seconds: float = 0.0
    failure: Failure | None = None
    gates: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()
    log: Path | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)  # name -> path relative to the root
    sizes: Mapping[str, int] = field(default_factory=dict)  # name -> bytes
    undeclared: tuple[str, ...] = ()  # what it read, now or when it ran, and does not declare


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What ``Pipeline.run`` returns and every report is made from."""

    pipeline: str
    ok: bool
    exit_code: int
    stages: tuple[StageResult, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    def count(self, outcome: Outcome) -> int:
        """How many stages ended so."""
        return sum(1 for s in self.stages if s.outcome is outcome)


class Listener(Protocol):
    """Hears of a build as it happens. Nothing here may raise or block."""

    def began(self, pipeline: str, stages: Sequence[Stage], todo: int) -> None: ...

    def started(self, stage: str) -> None: ...

    def advanced(self, stage: str, done: float, total: float | None, text: str) -> None: ...

    def logged(self, stage: str, text: str) -> None: ...

    def retried(self, stage: str, message: str) -> None: ...

    def warned(self, text: str) -> None: ...

    def noted(self, text: str) -> None: ...

    def ended(self, result: StageResult) -> None: ...

    def finished(self, result: BuildResult) -> None: ...
