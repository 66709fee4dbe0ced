"""A pipeline's report as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mlbuild.records import Gate, GateResult, Json
from mlbuild.report import words
from mlbuild.report.summary.built import Artifact, Built, Figure, State, Told
from mlbuild.report.summary.changed import Change
from mlbuild.report.summary.figures import difference, short, shown
from mlbuild.report.summary.page import Cell, Page, Section, Tone, table

_LIMITS = (
    "min",
    "max",
    "min_lower",
    "min_upper",
    "max_lower",
    "max_upper",
    "max_drop",
    "max_rise",
)
_LONGEST = 60  # characters of a parameter's value in a table
_DIGEST = 8


def page(built: Built) -> Page:
    """The figures that matter at once, everything else folded."""
    told = [_figures(built, main=True), _unsettled(built), _artifacts(built), _changes(built)]
    told.append(_figures(built, main=False))
    return Page(
        f"mlbuild: {built.pipeline}",
        f"mlbuild-report: {built.pipeline}",
        _verdict(built),
        tuple(_notes(built)),
        tuple(section for section in told if section is not None),
    )


def _verdict(built: Built) -> Cell:
    gates = [g for t in built.stages if t.state is not State.EXCLUDED for g in t.gates]
    current = sum(t.state in (State.CURRENT, State.EXCLUDED) for t in built.stages)
    stages = f"{current} of {_count(len(built.stages), 'stage')} up to date"
    if built.failed:
        failed = f"{len(built.failed)} of {_count(len(gates), 'gate')} failed"
        return Cell(f"{failed}, {stages}", Tone.BAD)
    waived = sum(g.waiver is not None for g in gates)
    held = f"{_count(len(gates) - waived, 'gate')} held" if gates else "no gate judged"
    if waived:
        held += f", {waived} waived"
    if built.unsettled:
        return Cell(f"{stages}, {held}", Tone.DOUBT)
    return Cell(f"{stages}, {held}", Tone.DOUBT if waived else Tone.GOOD)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _notes(built: Built) -> Iterator[Cell]:
    if built.against:
        yield Cell(f"compared with {built.against.label} ({built.against.commit[:7]})")
    if built.against and not built.known_before:
        yield Cell(f"there is no record of a build at {built.against.label}", Tone.DOUBT)
    yield from (Cell(note, Tone.DOUBT) for note in built.notes)
    if built.added:
        yield Cell(f"stages that are new: {', '.join(built.added)}")
    if built.removed:
        yield Cell(f"stages that are gone: {', '.join(built.removed)}")
    for why in dict.fromkeys(t.note for t in built.stages if t.note):
        names = ", ".join(t.name for t in built.stages if t.note == why)
        yield Cell(f"{names}: {why}")
    excluded = [t.name for t in built.stages if t.state is State.EXCLUDED and not t.note]
    if excluded:
        yield Cell(f"excluded: {', '.join(excluded)}")
    for told, gate in built.failed:
        yield Cell(f"{told.name}: {gate.text}", Tone.BAD)
    for told in built.stages:
        for gate in told.gates:
            if gate.waiver is not None:
                yield Cell(f"{told.name}: {gate.text}", Tone.DOUBT)


def _figures(built: Built, *, main: bool) -> Section | None:
    before = built.against.label if built.against else "before"
    rows = [
        _figure(told, figure)
        for told in built.stages
        for figure in told.figures
        if figure.main is main
    ]
    if not rows:
        return None
    columns = ("stage", "metric", "now", before, "change", "gate")
    title = "Figures" if main else "All other figures"
    return Section(title, table(columns, rows, ("now", before, "change")), folded=not main)


def _figure(told: Told, figure: Figure) -> tuple[Cell, ...]:
    stale = told.state in (State.STALE, State.UNBUILT)
    now = shown(figure.now, figure.unit)
    if stale and now:
        now += f" ({told.state})"
    return (
        Cell(told.name),
        Cell(figure.metric),
        Cell(now or "gone", Tone.DOUBT if stale or not now else Tone.PLAIN),
        Cell(shown(figure.before, figure.unit)),
        Cell("") if stale else difference(figure.before, figure.now, figure.better, figure.unit),
        _gates(told, figure.metric),
    )


def _gates(told: Told, metric: str) -> Cell:
    gates = [result for result in told.gates if result.gate.metric == metric]
    if not gates:
        asked = [limits(gate) for gate in told.unjudged if gate.metric == metric]
        return Cell(f"not judged: {', '.join(asked)}" if asked else "")
    text = ", ".join(_gate(gate) for gate in gates)
    if all(gate.ok for gate in gates):
        waived = any(gate.waiver is not None for gate in gates)
        return Cell(text, Tone.DOUBT if waived else Tone.GOOD)
    if told.state is State.EXCLUDED:
        return Cell(f"{text}, so excluded", Tone.DOUBT)
    return Cell(text, Tone.BAD)


def _gate(result: GateResult) -> str:
    word = "waived" if result.waiver is not None else "holds" if result.ok else "FAILED"
    released = f", released: {short(result.released)}" if result.released is not None else ""
    return f"{word}: {limits(result.gate)}{released}"


def limits(gate: Gate) -> str:
    """What a gate asks for, as the pipeline file says it."""
    asked = [(name, getattr(gate, name)) for name in _LIMITS]
    told = [
        f"{name} {value:.4g}{' (relative)' if name in gate.relative else ''}"
        for name, value in asked
        if value is not None
    ]
    return ", ".join(told + [f"first {name} {value:.4g}" for name, value in gate.first])


def _unsettled(built: Built) -> Section | None:
    if not built.unsettled:
        return None
    rows = [
        (Cell(t.name), Cell(str(t.state), Tone.DOUBT), Cell(", ".join(t.reasons).replace("_", " ")))
        for t in built.unsettled
    ]
    return Section("Not up to date", table(("stage", "state", "why"), rows))


def _artifacts(built: Built) -> Section | None:
    rows = [_artifact(artifact) for artifact in built.artifacts]
    if not rows:
        return None
    before = built.against.label if built.against else "before"
    columns = ("artifact", "stage", "size", before, "change")
    return Section("Artifacts", table(columns, rows, ("size", before, "change")))


def _artifact(artifact: Artifact) -> tuple[Cell, ...]:
    return (
        Cell(artifact.path),
        Cell(artifact.stage),
        Cell(words.size(artifact.size)) if artifact.size is not None else Cell("-", Tone.DOUBT),
        Cell(words.size(artifact.before) if artifact.before is not None else ""),
        size_difference(artifact.before, artifact.size),
    )


def size_difference(before: int | None, now: int | None) -> Cell:
    """How much larger or smaller something became; smaller is better."""
    if before is None or now is None:
        return Cell("")
    if before == now:
        return Cell("=")
    share = f" ({(now - before) / before:+.1%})" if before else ""
    sign, arrow = ("+", "▲") if now > before else ("-", "▼")
    text = f"{arrow} {sign}{words.size(abs(now - before))}{share}"
    return Cell(text, Tone.BAD if now > before else Tone.GOOD)


def _changes(built: Built) -> Section | None:
    if built.against is None or not built.changes:
        return None
    before = built.against.label
    rows = [_change(change) for change in built.changes]
    columns = ("what", "name", before, "now", "stages")
    return Section(f"What changed since {before}", table(columns, rows), folded=True)


def _change(change: Change) -> tuple[Cell, ...]:
    digests = change.what in ("data", "code", "toolchain")
    old, new = _pair(change.before, change.now, digests)
    names = ", ".join(change.stages[:3])
    if len(change.stages) > 3:
        names += f" and {len(change.stages) - 3} more"
    return (Cell(change.what), Cell(change.name), Cell(old), Cell(new), Cell(names))


def _pair(before: Json, now: Json, digests: bool) -> tuple[str, str]:
    """Two values in a short line each, cut so that the first character that differs is seen."""
    old, new = (_line(value) for value in (before, now))
    if digests:
        return old[:_DIGEST], new[:_DIGEST]
    start = 0
    if max(len(old), len(new)) > _LONGEST:
        same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        start = max(0, same - _LONGEST // 3)
    return _cut(old, start), _cut(new, start)


def _cut(text: str, start: int) -> str:
    shown = ("..." if start else "") + text[start:]
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


def _line(value: Json) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split())
