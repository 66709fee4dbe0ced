"""Gathers what stands of a pipeline: reads, judges, compares; builds and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mlbuild import gates
from mlbuild.plan import Planned
from mlbuild.records import (
    Decision,
    Digest,
    Gate,
    GateResult,
    Json,
    ResolvedPipeline,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.report.summary.before import Before
from mlbuild.report.summary.built import Artifact, Built, Figure, State, Told
from mlbuild.report.summary.changed import changes
from mlbuild.report.summary.figures import flat, number, same

_ABOUT = ("Report", "Page")  # outputs that tell of others


class Meaning(Protocol):
    """What a kind says of a metric; `mlbuild.api.Metric` is one."""

    @property
    def unit(self) -> str: ...

    @property
    def better(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a report asks of the store."""

    object_path: Callable[[Digest], Path]  # where the cache keeps a file
    recorded: Callable[[Stage], StageRecord | None]  # the last record of a stage


def gather(
    pipeline: ResolvedPipeline,
    planned: Sequence[Planned],
    meanings: Callable[[str], Mapping[str, Meaning]],
    shelf: Shelf,
    before: Before | None = None,
    release: Before | None = None,
    notes: tuple[str, ...] = (),
) -> Built:
    """Reads what stands; builds and writes nothing.

    Args:
        pipeline: whose report it is.
        planned: the decision on each of its stages.
        meanings: what a kind says of its metrics.
        shelf: what the store keeps.
        before: what to compare with.
        release: the last one, which gates are held against.
        notes: what else there is to tell.
    """
    stages = _stages(pipeline, planned, meanings, shelf, before, release)
    artifacts = _artifacts(pipeline, planned, before)
    names = {item.stage.name for item in planned}
    was = before.pins if before else {}
    now = {p.stage.name: p.parts or (p.record.parts if p.record else {}) for p in planned}
    settled = {name: parts for name, parts in now.items() if parts}
    return Built(
        pipeline.name,
        str(pipeline.file),
        tuple(stages),
        artifacts,
        before.revision if before else None,
        bool(was),
        changes(was, settled, [p.stage for p in planned]),
        tuple(p.stage.name for p in planned if was and p.stage.name not in was),
        tuple(sorted(was.keys() - names)),
        _psnr(planned, stages, artifacts),
        notes,
    )


def _stages(
    pipeline: ResolvedPipeline,
    planned: Sequence[Planned],
    meanings: Callable[[str], Mapping[str, Meaning]],
    shelf: Shelf,
    before: Before | None,
    release: Before | None,
) -> list[Told]:
    metrics = {p.stage.name: _metrics(pipeline.root, p, shelf.object_path) for p in planned}
    current = {p.stage.name for p in planned if _state(p, shelf) is State.CURRENT}
    measured = {name: found for name, found in metrics.items() if name in current}
    twins = {p.stage.twin for p in planned}
    of_release = pipeline.release.gates if pipeline.release else ()
    stages = []
    for item in planned:
        stage = item.stage
        known = meanings(stage.kind) if stage.kind else {}
        own = tuple(gate for name, gate in of_release if name == stage.name)
        judged: tuple[GateResult, ...] = ()
        if own and stage.name in current:
            since_release = _before(stage, measured, release) if release else None
            judged = gates.evaluate(own, metrics[stage.name], since_release)
        since = _before(stage, measured, before)
        figures = _figures((*stage.gates, *own), flat(metrics[stage.name]), flat(since), known)
        if stage.name in twins:  # it measured the last release, for the gates of another stage
            figures = tuple(replace(figure, main=False) for figure in figures)
        stages.append(_told(item, figures, (*item.gates, *judged), own, shelf))
    return stages


def _before(
    stage: Stage, measured: Mapping[str, gates.Metrics], before: Before | None
) -> gates.Metrics:
    """What the stage had recorded; of a release what its model has on today's samples, if known."""
    if before is None:
        return {}
    twin = measured.get(stage.twin or "") if before.revision.version is not None else None
    return twin or before.metrics(stage.name)


def _told(
    item: Planned,
    figures: tuple[Figure, ...],
    judged: tuple[GateResult, ...],
    own: tuple[Gate, ...],
    shelf: Shelf,
) -> Told:
    known = {result.gate for result in judged}
    return Told(
        item.stage.name,
        item.stage.kind,
        _state(item, shelf),
        tuple(str(reason) for reason in item.reasons),
        item.key,
        figures,
        judged,
        tuple(gate for gate in (*item.stage.gates, *own) if gate not in known),
        item.note,
    )


def _state(item: Planned, shelf: Shelf) -> State:
    if item.excluded:
        return State.EXCLUDED
    if item.decision in (Decision.REUSE, Decision.RESTORE):
        return State.CURRENT
    known = item.previous or shelf.recorded(item.stage)
    return State.STALE if known else State.UNBUILT


def _metrics(
    root: Path, item: Planned, object_path: Callable[[Digest], Path]
) -> Mapping[str, Json]:
    """What belongs to the stage's key; of a stale stage what was recorded last."""
    out = next((o for o in item.stage.outputs if o.role == "metrics"), None)
    if out is None or (item.excluded and item.record is None):
        return {}
    digest = item.record.outputs.get(out.name) if item.record else None
    if digest and item.decision is not Decision.REUSE and object_path(digest).is_file():
        return gates.read_metrics(object_path(digest))
    return gates.read_metrics(root / out.path)


def _figures(
    asked: Sequence[Gate],
    now: Mapping[str, Json],
    before: Mapping[str, Json],
    known: Mapping[str, Meaning],
) -> tuple[Figure, ...]:
    """In the order of the kind's list; what it does not list comes last, by name."""
    order = {name: place for place, name in enumerate(known)}
    gated = {gate.metric: gate for gate in asked}
    found: list[Figure] = []
    names = now.keys() | before.keys()
    ordered = sorted(names, key=lambda n: (order.get(n, len(order)), n))
    # What a stage without gates is about: the first one that has a direction.
    first = not gated.keys() & names
    for name in ordered:
        meaning = _meaning(name, known)
        better = meaning.better if meaning else _direction(gated.get(name))
        one, two = now.get(name), before.get(name)
        unit = meaning.unit if meaning else ""
        moved = bool(before) and not same(number(one), number(two))
        # Sizes have a table of their own, and what has a dot is one of many.
        telling = better != "none" and unit != "MB" and "." not in name
        main = name in gated or name == "psnr_db" or (telling and (first or moved))
        first = first and not telling
        found.append(Figure(name, one, two, unit, better, main))
    return tuple(found)


def _meaning(name: str, known: Mapping[str, Meaning]) -> Meaning | None:
    """A name, or the family that it belongs to: ``agreement.*``."""
    return known.get(name) or known.get(f"{name.partition('.')[0]}.*")


def _direction(gate: Gate | None) -> str:
    """A command's metrics say nothing of themselves; a gate shows what is wanted of one."""
    if gate is None:
        return "none"
    upwards = (gate.min, gate.min_lower, gate.min_upper, gate.max_drop)
    downwards = (gate.max, gate.max_lower, gate.max_upper, gate.max_rise)
    up, down = (any(limit is not None for limit in side) for side in (upwards, downwards))
    return "none" if up == down else "max" if up else "min"


def _artifacts(
    pipeline: ResolvedPipeline, planned: Sequence[Planned], before: Before | None
) -> tuple[Artifact, ...]:
    items = {item.stage.name: item for item in planned}
    if pipeline.release:
        wanted = [(o.stage, o.output) for o in pipeline.release.artifacts.values()]
    else:
        wanted = _leaves(planned)
    found = []
    for name, output in wanted:
        if name not in items:
            continue  # outside of what was asked for
        item = items[name]
        out = item.stage.output(output)
        digest = item.record.outputs.get(output) if item.record else None
        size, md5 = (digest.size, digest.md5) if digest else (None, None)
        old = before.size(out.path) if before else None
        found.append(Artifact(name, output, out.path, out.type, md5, size, old))
    return tuple(found)


def _leaves(planned: Sequence[Planned]) -> list[tuple[str, str]]:
    """What no stage reads; Core ML models first, for one of them is what people look for."""
    read = {
        (source.stage, source.output)
        for item in planned
        for role in item.stage.inputs
        for source in role.sources
        if isinstance(source, StageOutput)
    }
    outputs = [
        (item.stage, out)
        for item in planned
        if not item.excluded
        for out in item.stage.outputs
        if out.role == "artifact" and out.type not in _ABOUT
    ]
    models = [(s, o) for s, o in outputs if o.type == "CoreMLModel"][-1:]
    ends = [(s, o) for s, o in outputs if (s.name, o.name) not in read and (s, o) not in models]
    return [(stage.name, out.name) for stage, out in models + ends]


def _psnr(
    planned: Sequence[Planned], stages: Sequence[Told], artifacts: Sequence[Artifact]
) -> float | None:
    """The worst `psnr_db` of stages that looked at the main artifact, or else of all that stand."""
    main = artifacts[0].md5 if artifacts else None
    looked, every = [], []
    for item, told in zip(planned, stages, strict=True):
        figures = {f.metric: number(f.now) for f in told.figures}
        value = figures.get("psnr_db")
        if value is None or told.state is not State.CURRENT:
            continue
        every.append(value)
        read = (item.parts.get("inputs") or {}).values()
        if main is not None and main in read:
            looked.append(value)
    return min(looked or every, default=None)
