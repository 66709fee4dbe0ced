"""What stands of a pipeline: its figures, gates and sizes, and how they were before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mlbuild.errors import EXIT_DATA, EXIT_GATE, EXIT_OK
from mlbuild.records import Gate, GateResult, Json
from mlbuild.report.summary.before import Revision
from mlbuild.report.summary.changed import Change


class State(StrEnum):
    """Whether what is recorded of a stage is what a run would give."""

    CURRENT = "up to date"
    STALE = "stale"
    UNBUILT = "not built"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one stage."""

    metric: str
    now: Json  # as recorded; None: it is gone
    before: Json  # None: it is new, or there is nothing to compare with
    unit: str = ""
    better: str = "none"
    main: bool = False  # to be shown at once


@dataclass(frozen=True, slots=True)
class Artifact:
    """An output that nothing else is made from, or that is released."""

    stage: str
    output: str
    path: str
    type: str
    md5: str | None
    size: int | None
    before: int | None  # its size


@dataclass(frozen=True, slots=True)
class Told:
    """A stage."""

    name: str
    kind: str | None
    state: State
    reasons: tuple[str, ...]
    key: str | None
    figures: tuple[Figure, ...]
    gates: tuple[GateResult, ...]
    unjudged: tuple[Gate, ...] = ()  # whose figures are not known yet
    note: str = ""  # why it is excluded, where that was no gate


@dataclass(frozen=True, slots=True)
class Built:
    """Everything that a report on a pipeline tells."""

    pipeline: str
    file: str
    stages: tuple[Told, ...]
    artifacts: tuple[Artifact, ...]  # the main one first
    against: Revision | None = None
    known_before: bool = False  # a build was recorded there
    changes: tuple[Change, ...] = ()
    added: tuple[str, ...] = ()  # stages that were not there
    removed: tuple[str, ...] = ()
    psnr_db: float | None = None  # the worst that was measured of the main artifact
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[tuple[Told, GateResult], ...]:
        """Gates that do not hold and stop the pipeline."""
        stopping = (t for t in self.stages if t.state is not State.EXCLUDED)
        return tuple((t, g) for t in stopping for g in t.gates if not g.ok and g.waiver is None)

    @property
    def unsettled(self) -> tuple[Told, ...]:
        """Stages whose figures are not those of the pipeline as it is now."""
        return tuple(t for t in self.stages if t.state in (State.STALE, State.UNBUILT))

    @property
    def exit_code(self) -> int:
        """Of `--check`: a report on what is stale says nothing of gates for sure."""
        if self.unsettled:
            return EXIT_DATA
        return EXIT_GATE if self.failed else EXIT_OK
