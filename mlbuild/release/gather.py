"""The facts of a release, gathered from the resolved pipeline, the ledger and the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlbuild import __version__, graph
from mlbuild.errors import DataError, Problem
from mlbuild.records import (
    DatasetRef,
    Input,
    Json,
    ResolvedPipeline,
    Source,
    Stage,
    StageOutput,
    StageRecord,
)
from mlbuild.release.artifacts import Built, Inspect, artifact, metrics_of
from mlbuild.release.facts import (
    Change,
    DatasetFacts,
    GateFacts,
    ReleaseFacts,
    StageFacts,
)
from mlbuild.release.origin import repository
from mlbuild.released import folder_in_repository, head_commit
from mlbuild.toolchains import Toolchains

NOTHING = Change("none", ())


def gather(built: Built, judged: Sequence[GateFacts], inspect: Inspect) -> ReleaseFacts:
    """All that is known of a release before its version is.

    Raises:
        DataError: the bytes of an artifact are not those of the ledger.
    """
    pipeline, spec = built.pipeline, built.spec
    stages = {stage.name: stage for stage in pipeline.stages}
    wanted = concerned(pipeline, [gate.stage for gate in judged])
    # The others have no result: variants that a gate took out, twins while there is no release.
    names = [name for name in wanted if built.results[name].key is not None]
    records = {name: _recorded(built, stages[name]) for name in names}
    facts = [_stage(built, stages[name], records[name]) for name in names]
    return ReleaseFacts(
        name=spec.name,
        version="",
        commit=head_commit(pipeline.root) or "",
        repository=repository(pipeline.root),
        pipeline=pipeline.file.resolve().relative_to(pipeline.root.resolve()).as_posix(),
        profiles=built.profiles,
        sets=built.sets,
        params=pipeline.params,
        artifacts=tuple(
            artifact(built, name, at, records[at.stage], inspect)
            for name, at in spec.artifacts.items()
        ),
        stages=tuple(facts),
        datasets=tuple(_datasets(built, [stages[n] for n in names], records)),
        toolchains=_toolchains(pipeline, [stages[n] for n in names]),
        gates=tuple(judged),
        change=NOTHING,
        card=spec.card,
        plots=dict(_plots(pipeline.root, [stages[n] for n in names])),
        mlbuild=__version__,
        directory=folder_in_repository(pipeline.root),
    )


def concerned(pipeline: ResolvedPipeline, gated: Sequence[str]) -> list[str]:
    """The stages that a release tells of, parents first: those that its artifacts come from,
    those that are gated, and those that judge any of what the artifacts come from.
    """
    assert pipeline.release is not None
    ordered = graph.order(pipeline.stages)
    made = {at.stage for at in pipeline.release.artifacts.values()}
    made |= ordered.ancestors(made)
    judges = {
        stage.name
        for stage in pipeline.stages
        if (stage.kind or "").startswith("validate/")
        and any(s.stage in made for s in _sources(stage) if isinstance(s, StageOutput))
    }
    wanted = made | judges | set(gated)
    wanted |= ordered.ancestors(wanted)
    return [name for name in ordered.order if name in wanted]


def _recorded(built: Built, stage: Stage) -> StageRecord:
    """What the ledger says of a stage; it must be what was built."""
    ledger, key = built.store.ledger, built.results[stage.name].key
    record = ledger.record(stage.name) if ledger else None
    if record is None or record.key != key:
        said = "has no result in the ledger" if record is None else "differs from the ledger"
        hint = f"mlbuild run {built.pipeline.file.name}, and commit the ledger"
        raise DataError(Problem(f"stage '{stage.name}' {said}", stage.place, hint=hint))
    return record


def _stage(built: Built, stage: Stage, record: StageRecord) -> StageFacts:
    outputs: dict[str, Json] = {}
    keyed = record.parts.get("inputs", {})
    for out in stage.outputs:
        digest = record.outputs[out.name]
        outputs[out.name] = {
            "path": out.path,
            "type": out.type,
            "md5": digest.md5,
            "size": digest.size,
        }
    return StageFacts(
        name=stage.name,
        kind=stage.kind,
        command=stage.command,
        key=record.key,
        parts=record.parts,
        toolchain=stage.toolchain,
        # What is not keyed was left out: of a release that there was not yet.
        inputs={i.role: _input(i, record) for i in stage.inputs if i.role in keyed},
        outputs=outputs,
        metrics=metrics_of(built.pipeline.root, stage),
        meanings=built.meanings(stage.kind) if stage.kind else {},
    )


def _input(item: Input, record: StageRecord) -> Json:
    """Where an input comes from and what it held; of a list, only what gates left in it."""
    keyed = record.parts.get("inputs", {}).get(item.role)
    if not item.many:
        return {"from": _from(item.sources[0]), "md5": keyed}
    axes = item.axes or ((),) * len(item.sources)
    known = [(dict(a), md5) for a, md5 in keyed or ()]
    found: list[Json] = []
    for source, mine in zip(item.sources, axes, strict=True):
        row = next((k for k in known if k[0] == dict(mine)), None)
        if row is not None:
            known.remove(row)
            found.append({"from": _from(source), "md5": row[1]})
    return found


def _from(source: Source) -> str:
    if isinstance(source, StageOutput):
        return f"{source.stage}.{source.output}"
    if isinstance(source, DatasetRef):
        return f"datasets.{source.name}"
    return source.path if source.path.startswith(("/", "./", "../")) else f"./{source.path}"


def _datasets(
    built: Built, stages: Sequence[Stage], records: Mapping[str, StageRecord]
) -> Iterator[DatasetFacts]:
    """Datasets that a stage of the release read, as they were when it ran."""
    frozen = built.store.datasets_frozen()
    read: dict[str, str] = {}
    for stage in stages:
        keyed = records[stage.name].parts.get("inputs", {})
        for item in stage.inputs:
            source = item.sources[0] if item.sources else None
            if item.role not in keyed:
                continue
            if not item.many and isinstance(source, DatasetRef):
                read.setdefault(source.name, str(keyed.get(item.role)))
            elif item.many:
                digests = [str(md5) for _, md5 in keyed.get(item.role) or ()]
                for one, md5 in zip(item.sources, digests, strict=False):
                    if isinstance(one, DatasetRef):
                        read.setdefault(one.name, md5)
    for name in sorted(read):
        dataset = built.pipeline.datasets[name]
        entry = frozen.get(name)
        facts: Mapping[str, Json] = entry if isinstance(entry, Mapping) else {}
        size = facts.get("size")
        if dataset.scheme == "path":
            tracked = built.store.tracked_dataset(dataset.location)
            size = tracked[1].size if tracked and tracked[1] else None
        origin = facts.get("source")
        if dataset.scheme == "release":
            origin = _released(frozen.get("release"))
        yield DatasetFacts(
            name,
            dataset.scheme,
            dataset.location,
            read[name],
            size if isinstance(size, int) else None,
            dict(origin) if isinstance(origin, Mapping) else {},
        )


def _released(row: Json) -> Json:
    """Which release an artifact is of."""
    return {k: row[k] for k in ("tag", "commit") if k in row} if isinstance(row, Mapping) else {}


def _toolchains(
    pipeline: ResolvedPipeline, stages: Sequence[Stage]
) -> dict[str, Mapping[str, Json]]:
    locks = Toolchains(pipeline.root, pipeline.toolchains)
    found: dict[str, Mapping[str, Json]] = {}
    for name in sorted({stage.toolchain for stage in stages if stage.toolchain}):
        lock = locks.lock(name)
        packages = {
            f"{p.name} ({p.marker})" if p.marker else p.name: p.version for p in lock.requirements
        }
        found[name] = {"python": lock.python, "digest": lock.digest, "packages": packages}
    return found


def _plots(root: Path, stages: Sequence[Stage]) -> Iterator[tuple[str, Path]]:
    for stage in stages:
        for out in stage.outputs:
            if out.role == "plots" and (root / out.path).is_dir():
                yield stage.name, root / out.path


def _sources(stage: Stage) -> Iterator[Source]:
    return (source for item in stage.inputs for source in item.sources)
