"""What became of a release, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlbuild.records import BuildResult, Json, Outcome
from mlbuild.release.documents.notes import notes_text
from mlbuild.release.facts import GateFacts
from mlbuild.release.terms import Released
from mlbuild.report import words

EVENT_VERSION = 1


def event(done: Released, root: Path) -> dict[str, Json]:
    """The last line of `mlbuild release --json`."""
    facts = done.facts
    found: dict[str, Json] = {
        "event": "release",
        "version": EVENT_VERSION,
        "outcome": done.outcome,
        "exit_code": done.exit_code,
        "gates": [_gate(gate) for gate in done.gates],
        "remarks": list(done.remarks),
    }
    if facts is not None:
        found |= {
            "name": facts.name,
            "release": facts.version,
            "tag": facts.tag,
            "commit": facts.commit,
            "previous": facts.previous,
            "level": facts.change.level,
            "why": list(facts.change.why),
            "reason": facts.reason,
            "folder": _shown(done.folder, root),
            "files": [{"path": path, "size": size} for path, size in done.files],
            "tags": list(done.tags),
            "publish": [
                {"publisher": s.publisher, "where": s.where, "obstacle": s.obstacle}
                for s in done.sent
            ],
            "notes": notes_text(facts),
        }
    if done.build is not None:
        found["stale"] = [
            {"stage": stage.stage, "reasons": [str(r) for r in stage.reasons]}
            for stage in done.build.stages
            if stage.outcome is Outcome.SKIPPED and stage.reasons
        ]
    return found


def text(done: Released, root: Path) -> str:
    """The same for people."""
    return "\n".join(_lines(done, root))


def promoted(names: Sequence[str], *, dry: bool) -> str:
    """What `--promote` did."""
    if not names:
        return "it is in these channels already"
    return f"{'would tag' if dry else 'tagged'} {', '.join(names)}"


def _lines(done: Released, root: Path) -> Iterator[str]:
    facts, dry = done.facts, done.outcome == "would_release"
    if done.outcome == "nothing":
        yield f"nothing to release: {'; '.join(done.remarks)}"
        yield '  to release all the same: --version X --reason "why"'
        return
    if facts is None:
        yield from _refused(done)
        return
    since = f"the last release is {facts.previous}" if facts.previous else "the first release"
    yield f"{facts.name} {facts.version} ({facts.change.level}; {since})"
    yield from (f"  {sentence}" for sentence in facts.change.why)
    if facts.reason:
        yield f"  reason: {facts.reason}"
    yield from _gates(done.gates)
    if dry:
        yield "notes"
        yield from (f"  {line}".rstrip() for line in notes_text(facts).splitlines())
    yield f"{'would write' if dry else 'folder'} {_shown(done.folder, root)}"
    yield from (f"  {words.size(size):>10}  {path}" for path, size in done.files)
    if done.tags:
        yield f"{'would tag' if dry else 'tagged'} {', '.join(done.tags)}"
    for sent in done.sent:
        if dry:
            yield f"would publish to {sent.publisher}: {sent.obstacle or 'nothing is in the way'}"
        else:
            yield f"published {sent.where}"
    yield from done.remarks


def _refused(done: Released) -> Iterator[str]:
    stale = _stale(done.build) if done.build and done.outcome == "stale" else []
    if stale:
        yield "not released: these stages would have to run first"
        yield from stale
        yield "  hint: mlbuild run, commit the ledger, mlbuild push; then release"
    elif done.outcome == "gate_failed":
        yield "not released: a gate does not hold"
        yield from _gates(done.gates)
        yield '  hint: --waive "STAGE.METRIC=why it may fail this once" is recorded in the release'
    else:
        yield f"not released: {done.outcome}"


def _stale(build: BuildResult) -> list[str]:
    return [
        f"  {stage.stage}: {words.reasons(stage.reasons)}"
        for stage in build.stages
        if stage.outcome is Outcome.SKIPPED and stage.reasons
    ]


def _gates(gates: Sequence[GateFacts]) -> Iterator[str]:
    if gates:
        yield "gates"
    for gate in gates:
        how = "holds" if gate.ok else "waived" if gate.waiver is not None else "FAILED"
        waiver = f" ({gate.waiver})" if gate.waiver is not None else ""
        yield f"  {how:6}  {gate.stage}: {gate.text}{waiver}"


def _gate(gate: GateFacts) -> dict[str, Json]:
    return {
        "gate": f"{gate.stage}.{gate.metric}",
        "limits": dict(gate.limits),
        "value": gate.value,
        "released": gate.released,
        "ok": gate.ok,
        "text": gate.text,
        "waiver": gate.waiver,
    }


def _shown(place: Path | None, root: Path) -> str | None:
    if place is None:
        return None
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)
