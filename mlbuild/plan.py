"""What is stale, and why: reads and decides, changes nothing.

One function, `Planner.decide`, serves `run`, `status`, `--dry-run` and `explain`. The reason for a
rebuild is found where the decision is made, never reconstructed later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mlbuild import fingerprint
from mlbuild.decisions import Decisions, Records
from mlbuild.judging import Judge
from mlbuild.lists import keeping, same_variant, without_excluded
from mlbuild.records import (
    DatasetRef,
    Decision,
    Digest,
    GateResult,
    Input,
    Json,
    PathRef,
    Reason,
    ResolvedPipeline,
    Source,
    Stage,
    StageOutput,
    StageRecord,
)

KEY_VERSION = 1  # of the stage key's make-up
ABSENT = "absent"  # the digest of a release's artifact while there is no release
NO_RELEASE = "there is no release yet"


class Memory(Protocol):
    """What the planner asks of the store."""

    def recorded(self, stage: Stage) -> StageRecord | None: ...

    def candidates(self, stage: Stage, key: str) -> StageRecord | None: ...

    def placement(self, stage: Stage, record: StageRecord) -> Placement: ...

    def restorable(self, record: StageRecord) -> bool: ...

    def object_path(self, digest: Digest) -> Path: ...


class Placement(Protocol):
    """Which outputs are not in place: not there, changed by hand, or of an earlier build."""

    @property
    def missing(self) -> tuple[str, ...]: ...

    @property
    def modified(self) -> tuple[str, ...]: ...

    @property
    def in_place(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What stage keys are made of besides the pipeline itself, looked up once for each build."""

    code: Callable[[str], Mapping[str, Json]]  # kind -> parts: code, key_version, (platform)
    toolchain: Callable[[str], str]  # name -> digest of its lock
    dataset: Callable[[str], str | None]  # name -> md5, None while it was never fetched
    path: Callable[[str], str | None]  # path relative to the root -> md5
    again: Callable[[str], str | None]  # the same, looked at anew
    dataset_again: Callable[[str], str | None]
    # What a stage recorded in the last release; None while there is none.
    released: Callable[[Stage], Mapping[str, Json] | None] = lambda _: None
    waived: Mapping[str, str] = field(default_factory=dict)  # STAGE.METRIC -> why its gate may fail


@dataclass(frozen=True, slots=True)
class Planned:
    """The decision on one stage and all that was learned on the way."""

    stage: Stage
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    key: str | None = None
    parts: Mapping[str, Json] = field(default_factory=dict)
    previous: StageRecord | None = None  # the stage's last record
    record: StageRecord | None = None  # what reuse and restore hand to later stages
    remote: bool = False  # restorable only if the remote has the objects
    inputs: tuple[Input, ...] = ()  # without what gates took out
    gates: tuple[GateResult, ...] = ()
    excluded: bool = False  # a gate, here or upstream, took the variant out
    blocked: bool = False  # a gate that stops the pipeline failed, here or upstream
    note: str = ""  # why it is excluded, where that was no gate


class Planner:
    """Decides stage by stage, parents first; remembers what it decided."""

    def __init__(
        self,
        pipeline: ResolvedPipeline,
        memory: Memory,
        facts: Facts,
        forced: frozenset[str] = frozenset(),
        use_remote: bool = False,
    ) -> None:
        self._memory, self._facts, self._forced = memory, facts, forced
        self._judge = Judge(pipeline.root, memory.object_path, facts.released, facts.waived)
        self._stages = {s.name: s for s in pipeline.stages}
        self._root = pipeline.root
        self._of_release = {d.name for d in pipeline.datasets.values() if d.scheme == "release"}
        self.use_remote = use_remote
        self.lost: set[str] = set()  # keys whose objects the remote turned out not to have
        self.decided: Decisions[Planned] = Decisions(self._as_it_stands)

    def trust(self, standing: Collection[str]) -> None:
        """Takes stages as they lie: nothing that they were decided from has changed."""
        self.decided.standing = standing

    def records(self, names: Sequence[str]) -> Mapping[str, StageRecord]:
        """What is known of stages that are in place; of those that stand, when it is asked for."""
        return Records(self.decided, names)

    def plan(self, names: Sequence[str]) -> list[Planned]:
        """Decides all stages; `names` must be in topological order."""
        return [self.decide(name) for name in names]

    def decide(self, name: str) -> Planned:
        """Decides one stage from what its parents were decided or turned out to be."""
        planned = self._decide(self._stages[name])
        self.decided[name] = planned
        return planned

    def assume(self, name: str) -> None:
        """Takes a stage outside the selection as it lies on disk (`--only`, `dvc repro`)."""
        stage = self._stages[name]
        digests = {o.name: self._facts.path(o.path) for o in stage.outputs}
        if any(md5 is None for md5 in digests.values()):
            return  # what needs it stays pending and is told so
        record = StageRecord("", {}, {n: Digest(md5) for n, md5 in digests.items() if md5})
        results = self.judge(stage, record)
        self.decided[name] = Planned(stage, Decision.REUSE, record=record)
        self.settle(self.decided[name], record, results)

    def _as_it_stands(self, name: str) -> Planned:
        stage = self._stages[name]
        record = self._memory.recorded(stage)
        if record is None:  # its record was lost since: it is decided like any other
            return self._decide(stage)
        key, parts = record.key, record.parts
        return Planned(stage, Decision.REUSE, (), key, parts, record, record, inputs=stage.inputs)

    def changed_inputs(self, planned: Planned) -> tuple[str, ...]:
        """Roles whose content on disk is no longer what the stage's key was made of."""
        keyed = planned.parts["inputs"]
        return tuple(i.role for i in planned.inputs if self._on_disk(i) != keyed[i.role])

    def _on_disk(self, item: Input) -> Json:
        digests: list[str | None] = []
        for source in item.sources:
            if isinstance(source, DatasetRef):
                digests.append(self._facts.dataset_again(source.name))
            elif isinstance(source, PathRef):
                digests.append(self._facts.again(source.path))
            else:
                path = self._stages[source.stage].output(source.output).path
                digests.append(self._facts.again(path))
        return _as_part(item, digests)

    def settle(
        self, planned: Planned, record: StageRecord, results: tuple[GateResult, ...]
    ) -> None:
        """Tells the planner how a stage that ran or was restored turned out."""
        stage, ok = planned.stage, all(g.ok for g in results)
        self.decided[stage.name] = Planned(
            stage,
            Decision.REUSE,
            planned.reasons,
            planned.key,
            planned.parts,
            planned.previous,
            record,
            inputs=planned.inputs,
            gates=results,
            excluded=not ok and stage.exclude_on_fail,
            blocked=not ok and not stage.exclude_on_fail,
        )

    def _decide(self, stage: Stage) -> Planned:
        parents = [self.decided[p] for p in _parents(stage) if p in self.decided]
        inputs = tuple(without_excluded(i, stage.inputs, self._is_excluded) for i in stage.inputs)
        there = {item.role: self._released(item) for item in inputs}
        if any(there[item.role] is None and not item.optional for item in inputs):
            return Planned(stage, Decision.PENDING, excluded=True, note=NO_RELEASE)
        inputs = tuple(item for item in there.values() if item is not None)
        if any(self.decided[p].excluded for p in self._essential(stage) if p in self.decided):
            return Planned(stage, Decision.PENDING, excluded=True, inputs=inputs)
        blocked = any(p.blocked for p in parents)
        digests = None if blocked else self._input_digests(inputs)
        if digests is None:
            return Planned(
                stage, Decision.PENDING, (Reason.UPSTREAM_PENDING,), blocked=blocked, inputs=inputs
            )
        return self._decide_known(stage, inputs, self._parts(stage, digests))

    def _decide_known(
        self, stage: Stage, inputs: tuple[Input, ...], parts: Mapping[str, Json]
    ) -> Planned:
        key = stage_key(parts)
        previous = self._memory.recorded(stage)
        changed = differences(previous.parts, parts) if previous else (Reason.FIRST_RUN,)
        if stage.name in self._forced:
            return Planned(
                stage, Decision.RUN, (Reason.FORCED,), key, parts, previous, inputs=inputs
            )
        record = self._memory.candidates(stage, key)
        if record is None or not _complete(stage, record):
            reasons = changed or (Reason.OUTPUT_MISSING,)
            return Planned(stage, Decision.RUN, reasons, key, parts, previous, inputs=inputs)
        place = self._memory.placement(stage, record)
        reasons = changed if not (previous and previous.key == key) else ()
        in_place = place.in_place
        # An earlier result may lie at its place: of another stage, where an output was moved.
        missing = place.missing or not (in_place or place.modified)
        reasons += (Reason.OUTPUT_MISSING,) if missing and not reasons else ()
        reasons += (Reason.OUTPUT_MODIFIED,) if place.modified else ()
        decision = Decision.REUSE if in_place else Decision.RESTORE
        remote = decision is Decision.RESTORE and not self._memory.restorable(record)
        if remote and (not self.use_remote or key in self.lost):
            return Planned(stage, Decision.RUN, reasons, key, parts, previous, inputs=inputs)
        results = () if remote else self.judge(stage, record, in_place)
        failed = not all(g.ok for g in results)
        return Planned(
            stage,
            decision,
            () if in_place else reasons,
            key,
            parts,
            previous,
            record,
            remote,
            inputs,
            results,
            excluded=failed and stage.exclude_on_fail,
            blocked=failed and not stage.exclude_on_fail,
        )

    def judge(
        self, stage: Stage, record: StageRecord, in_place: bool = True
    ) -> tuple[GateResult, ...]:
        """The stage's gates against what it recorded, and against the last release."""
        twin = self.decided.get(stage.twin) if stage.twin else None
        return self._judge.judge(stage, record, in_place, twin)

    def _essential(self, stage: Stage) -> list[str]:
        """Parents whose exclusion excludes the stage too: not the items of ``{all: ...}`` lists,
        nor what it merely has to wait for, unless both are variants of one matrix.
        """
        sources = [s for i in stage.inputs if not i.many for s in i.sources]
        waited = [n for n in stage.needs if n != stage.twin]
        paired = [n for n in waited if same_variant(self._stages[n].axes, stage.axes)]
        return [s.stage for s in sources if isinstance(s, StageOutput)] + paired

    def _released(self, item: Input) -> Input | None:
        """The input without artifacts of a release while there is none; None if nothing is left."""
        if not self._of_release:
            return item
        absent = [
            isinstance(source, DatasetRef)
            and source.name in self._of_release
            and self._facts.dataset(source.name) == ABSENT
            for source in item.sources
        ]
        keep = [n for n, gone in enumerate(absent) if not gone]
        if len(keep) == len(absent):
            return item
        return keeping(item, keep) if item.many and keep else None

    def _is_excluded(self, source: Source) -> bool:
        if not isinstance(source, StageOutput) or source.stage not in self.decided:
            return False
        return self.decided[source.stage].excluded

    def _input_digests(self, inputs: tuple[Input, ...]) -> dict[str, Json] | None:
        """Role -> md5 (or a list of [axes, md5]); None while an upstream stage is not settled."""
        found: dict[str, Json] = {}
        for item in inputs:
            digests = [self._source_digest(s) for s in item.sources]
            if any(d is None for d in digests):
                return None
            found[item.role] = _as_part(item, digests)
        return found

    def _source_digest(self, source: Source) -> str | None:
        if isinstance(source, DatasetRef):
            return self._facts.dataset(source.name)
        if isinstance(source, PathRef):
            return self._facts.path(source.path)
        record = self.decided[source.stage].record if source.stage in self.decided else None
        return record.outputs[source.output].md5 if record else None

    def _parts(self, stage: Stage, inputs: Mapping[str, Json]) -> dict[str, Json]:
        parts: dict[str, Json] = {
            "params": dict(stage.params),
            "env": dict(stage.env),
            "secrets": sorted(stage.secrets),
            "threads": stage.resources.cpu,
            "inputs": dict(inputs),
            "outputs": sorted(o.name for o in stage.outputs),
            "trust": sorted(i.role for i in stage.inputs if i.trust),
        }
        if stage.toolchain is not None:
            parts["toolchain"] = self._facts.toolchain(stage.toolchain)
        if stage.kind is not None:
            code = dict(self._facts.code(stage.kind))
            if stage.run != "run.py":  # one kind has several: which one is part of what it does
                code["run"] = stage.run
            return parts | {"kind": stage.kind} | code
        return parts | {"command": stage.command}


def stage_key(parts: Mapping[str, Json]) -> str:
    """The digest that identifies a stage's result: equal keys mean interchangeable outputs."""
    return fingerprint.digest(f"stage-key/{KEY_VERSION}", parts)


_REASON_OF = {
    "kind": Reason.CODE_CHANGED,
    "code": Reason.CODE_CHANGED,
    "key_version": Reason.CODE_CHANGED,
    "run": Reason.CODE_CHANGED,
    "command": Reason.CODE_CHANGED,
    "outputs": Reason.CODE_CHANGED,
    "toolchain": Reason.TOOLCHAIN_CHANGED,
    "params": Reason.PARAMS_CHANGED,
    "inputs": Reason.INPUT_CHANGED,
}


def differences(old: Mapping[str, Json], new: Mapping[str, Json]) -> tuple[Reason, ...]:
    """Why two keys differ, in the order of the closed list; empty where they are equal."""
    changed = {part for part in old.keys() | new.keys() if old.get(part) != new.get(part)}
    found = {_REASON_OF.get(part, Reason.ENVIRONMENT_CHANGED) for part in changed}
    return tuple(r for r in Reason if r in found)


def _as_part(item: Input, digests: Sequence[str | None]) -> Json:
    if not item.many:
        return digests[0]
    axes = item.axes or ((),) * len(digests)
    return [[dict(a), d] for a, d in zip(axes, digests, strict=True)]


def _complete(stage: Stage, record: StageRecord) -> bool:
    return all(o.name in record.outputs for o in stage.outputs)


def _parents(stage: Stage) -> list[str]:
    sources = [s for i in stage.inputs for s in i.sources]
    return [s.stage for s in sources if isinstance(s, StageOutput)] + list(stage.needs)
