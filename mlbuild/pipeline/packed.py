"""A resolved pipeline as plain values, and back: what is stored so that YAML is not parsed again.

Rows are tuples, so that what was a list stays one; ``FORMAT`` changes whenever a row does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlbuild.errors import Place
from mlbuild.records import (
    Dataset,
    DatasetRef,
    Gate,
    Input,
    Output,
    PathRef,
    ResolvedPipeline,
    Resources,
    Source,
    Stage,
    StageOutput,
    ToolchainSpec,
)

FORMAT = 1
Row = tuple[Any, ...]


def pack(pipeline: ResolvedPipeline) -> Row:
    """Everything but the root: a checkout may be moved."""
    return (
        FORMAT,
        pipeline.name,
        dict(pipeline.params),
        [_stage_row(stage) for stage in pipeline.stages],
        [
            (d.name, d.scheme, d.location, dict(d.options), _place_row(d.place))
            for d in pipeline.datasets.values()
        ],
        [
            (t.name, t.python, t.requirements, _place_row(t.place))
            for t in pipeline.toolchains.values()
        ],
        pipeline.ledger,
        pipeline.strict,
    )


def unpack(row: Row, file: Path, root: Path) -> ResolvedPipeline:
    """The pipeline that was packed.

    Raises:
        ValueError, TypeError: the row is of another format.
    """
    form, name, params, stages, datasets, toolchains, ledger, strict = row
    if form != FORMAT:
        raise ValueError(f"format {form}")
    place = str(file)
    return ResolvedPipeline(
        name=name,
        file=file,
        root=root,
        params=params,
        stages=tuple([_stage(stage, place) for stage in stages]),
        datasets={d[0]: Dataset(*d[:4], place=_place(d[4], place)) for d in datasets},
        toolchains={t[0]: ToolchainSpec(*t[:3], place=_place(t[3], place)) for t in toolchains},
        ledger=ledger,
        strict=strict,
    )


def _stage_row(stage: Stage) -> Row:
    return (
        stage.name,
        stage.base,
        stage.axes,
        stage.kind,
        stage.command,
        dict(stage.params),
        tuple([_input_row(item) for item in stage.inputs]),
        tuple([(o.name, o.path, o.type, o.cache, o.role) for o in stage.outputs]),
        stage.needs,
        tuple([_gate_row(gate) for gate in stage.gates]),
        stage.exclude_on_fail,
        _resources_row(stage.resources),
        stage.timeout_minutes,
        stage.retries,
        dict(stage.env),
        stage.secrets,
        stage.toolchain,
        _place_row(stage.place),
    )


def _stage(row: Row, file: str) -> Stage:
    head, inputs, outputs, needs, gates = row[:6], row[6], row[7], row[8], row[9]
    return Stage(
        *head,
        tuple([_input(item, file) for item in inputs]),
        tuple([Output(*out) for out in outputs]),
        needs,
        tuple([Gate(*gate[:-1], _place(gate[-1], file)) for gate in gates]),
        row[10],
        Resources(*row[11]) if row[11] else _ONE_CPU,
        *row[12:17],
        _place(row[17], file),
    )


_ONE_CPU = Resources()


def _resources_row(found: Resources) -> Row | None:
    if found == _ONE_CPU:
        return None
    return (found.cpu, found.gpu, found.memory_gb, found.macos)


def _gate_row(gate: Gate) -> Row:
    limits = (gate.min, gate.max, gate.min_lower, gate.max_drop, gate.against)
    return (gate.metric, *limits, gate.first, _place_row(gate.place))


def _input_row(item: Input) -> Row:
    sources = tuple([_source_row(source) for source in item.sources])
    return (item.role, sources, item.many, item.axes, item.trust, _place_row(item.place))


def _input(row: Row, file: str) -> Input:
    role, sources, many, axes, trust, place = row
    found = tuple([_source(source) for source in sources])
    return Input(role, found, many, axes, trust, _place(place, file))


def _source_row(source: Source) -> Row:
    if isinstance(source, StageOutput):
        return (source.stage, source.output)
    if isinstance(source, PathRef):
        return (source.path,)
    return (source.name, None, None)


def _source(row: Row) -> Source:
    if len(row) == 2:
        return StageOutput(*row)
    return PathRef(row[0]) if len(row) == 1 else DatasetRef(row[0])


def _place_row(place: Place | None) -> Row | None:
    return (place.line, place.column, place.text) if place else None


def _place(row: Row | None, file: str) -> Place | None:
    return Place(file, *row) if row else None
