"""A resolved pipeline as plain values, and back: what is stored so that YAML is not parsed again.

Rows are tuples, so that what was a list stays one.
"""

from __future__ import annotations

from operator import attrgetter
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
    ReleaseSpec,
    ResolvedPipeline,
    Resources,
    Source,
    Stage,
    StageOutput,
    ToolchainSpec,
)

Row = tuple[Any, ...]

_output_row = attrgetter(*Output.__dataclass_fields__)
_gate_facts = attrgetter(*[name for name in Gate.__dataclass_fields__ if name != "place"])
_resources_row = attrgetter(*Resources.__dataclass_fields__)
_KINDS = (
    Stage,
    Input,
    Output,
    Gate,
    Resources,
    Dataset,
    ToolchainSpec,
    ReleaseSpec,
    ResolvedPipeline,
    Place,
)
# A field that came or went makes another format.
FORMAT = ",".join(name for kind in _KINDS for name in kind.__dataclass_fields__)


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
        _release_row(pipeline.release),
    )


def unpack(row: Row, file: Path, root: Path) -> ResolvedPipeline:
    """The pipeline that was packed.

    Raises:
        ValueError, TypeError: the row is of another format.
    """
    form, name, params, stages, datasets, toolchains, ledger, strict, release = row
    if form != FORMAT:
        raise ValueError("packed in another form")
    place = str(file)
    return ResolvedPipeline(
        name=name,
        file=file,
        root=root,
        params=params,
        stages=tuple([_stage(stage, place) for stage in stages]),
        datasets={d[0]: _dataset(d, place) for d in datasets},
        toolchains={t[0]: _toolchain(t, place) for t in toolchains},
        ledger=ledger,
        strict=strict,
        release=_release(release, place),
    )


def without_places(row: Row) -> Row:
    """The same whatever line things stand in: comments and the order of keys are no facts."""
    form, name, params, stages, datasets, toolchains, ledger, strict, _ = row
    return (
        form,
        name,
        sorted(params.items()),
        [_stage_facts(stage) for stage in stages],
        [d[:4] for d in datasets],
        [t[:3] for t in toolchains],
        ledger,
        strict,
    )


def _stage_facts(row: Row) -> Row:
    inputs = tuple([(*item[:5], *item[6:]) for item in row[6]])
    gates = tuple([gate[:-1] for gate in row[9]])
    return (*row[:6], inputs, *row[7:9], gates, *row[10:18])


def _stage_row(stage: Stage) -> Row:
    return (
        stage.name,
        stage.base,
        stage.axes,
        stage.kind,
        stage.command,
        dict(stage.params),
        tuple([_input_row(item) for item in stage.inputs]),
        tuple([_output_row(out) for out in stage.outputs]),
        stage.needs,
        tuple([_gate_row(gate) for gate in stage.gates]),
        stage.exclude_on_fail,
        None if stage.resources == _ONE_CPU else _resources_row(stage.resources),
        stage.timeout_minutes,
        stage.retries,
        dict(stage.env),
        stage.secrets,
        stage.toolchain,
        stage.run,
        _place_row(stage.place),
    )


def _stage(row: Row, file: str) -> Stage:
    fields = list(row)
    fields[6] = tuple([_input(item, file) for item in row[6]])
    fields[7] = tuple([Output(*out) for out in row[7]])
    fields[9] = tuple([_gate(gate, file) for gate in row[9]])
    fields[11] = Resources(*row[11]) if row[11] else _ONE_CPU
    fields[18] = _place(row[18], file)
    return Stage(*fields)


def _dataset(row: Row, file: str) -> Dataset:
    name, scheme, location, options, place = row
    return Dataset(name, scheme, location, options, _place(place, file))


def _toolchain(row: Row, file: str) -> ToolchainSpec:
    name, python, requirements, place = row
    return ToolchainSpec(name, python, requirements, _place(place, file))


def _gate(row: Row, file: str) -> Gate:
    fields = list(row)
    fields[-1] = _place(row[-1], file)
    return Gate(*fields)


def _release_row(release: ReleaseSpec | None) -> Row | None:
    if release is None:
        return None
    return (
        release.name,
        [(name, source.stage, source.output) for name, source in release.artifacts.items()],
        tuple([(stage, _gate_row(gate)) for stage, gate in release.gates]),
        release.first,
        release.channels,
        [dict(target) for target in release.publish],
        dict(release.sign),
        dict(release.card),
        _place_row(release.place),
    )


def _release(row: Row | None, file: str) -> ReleaseSpec | None:
    if row is None:
        return None
    name, artifacts, gates, first, channels, publish, sign, card, place = row
    return ReleaseSpec(
        name,
        {key: StageOutput(stage, output) for key, stage, output in artifacts},
        tuple([(stage, _gate(gate, file)) for stage, gate in gates]),
        first,
        channels,
        tuple(publish),
        sign,
        card,
        _place(place, file),
    )


_ONE_CPU = Resources()


def _gate_row(gate: Gate) -> Row:
    return (*_gate_facts(gate), _place_row(gate.place))


def _input_row(item: Input) -> Row:
    sources = tuple([_source_row(source) for source in item.sources])
    facts = (item.role, sources, item.many, item.axes, item.trust)
    return (*facts, _place_row(item.place), item.optional)


def _input(row: Row, file: str) -> Input:
    role, sources, many, axes, trust, place, optional = row
    found = tuple([_source(source) for source in sources])
    return Input(role, found, many, axes, trust, _place(place, file), optional)


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
