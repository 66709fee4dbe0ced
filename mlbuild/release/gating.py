"""The gates of a release: those of the stages as the build judged them, and its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from mlbuild import gates
from mlbuild.errors import Problem, UsageError, did_you_mean
from mlbuild.records import Gate, GateResult, Json, Outcome, ResolvedPipeline, Stage, StageResult
from mlbuild.release.artifacts import Built, metrics_of
from mlbuild.release.facts import GateFacts
from mlbuild.released import Tagged, file_at

_NO_LIMITS = ("metric", "place", "relative", "first")


def judged(built: Built, last: Tagged | None, waived: Mapping[str, str]) -> list[GateFacts]:
    """Every gate of the release, in the order of the pipeline."""
    own: dict[str, list[Gate]] = defaultdict(list)
    for name, gate in built.spec.gates:
        own[name].append(gate)
    found: list[GateFacts] = []
    for stage in built.pipeline.stages:
        result = built.results[stage.name]
        if result.outcome is Outcome.EXCLUDED:
            continue  # a variant that a gate took out is no part of the release
        found += [_facts(stage.name, one) for one in result.gates]
        released = _released(built, stage, last) if gates.compares(own[stage.name]) else None
        metrics = metrics_of(built.pipeline.root, stage) if own[stage.name] else {}
        mine = dict(_of_stage(stage, waived))
        for one in gates.evaluate(own[stage.name], metrics, released, mine):
            found.append(_facts(stage.name, one))
    return found


def failed(found: Sequence[GateFacts]) -> list[GateFacts]:
    """The gates that stop a release."""
    return [gate for gate in found if not gate.ok and gate.waiver is None]


def of_results(results: Mapping[str, StageResult]) -> list[GateFacts]:
    """The gates of stages alone, where a build was stopped by one of them."""
    return [
        _facts(name, one)
        for name, result in results.items()
        if result.outcome is Outcome.GATE_FAILED
        for one in result.gates
    ]


def check_waivers(pipeline: ResolvedPipeline, waived: Mapping[str, str]) -> None:
    """Raises a UsageError for waivers without reason, and of gates that do not exist."""
    known = [name for stage in pipeline.stages for name in _gates_of(pipeline, stage)]
    known = list(dict.fromkeys(known))
    problems = []
    for name, reason in waived.items():
        if name not in known:
            hint = did_you_mean(name, known)
            what = f"--waive {name}: there is no such gate"
            problems.append(Problem(what, allowed=tuple(known), hint=hint))
        elif not reason.strip():
            hint = f"--waive '{name}=why it may fail this once'"
            problems.append(Problem(f"--waive {name} has no reason", hint=hint))
    if problems:
        raise UsageError(*problems)


def unneeded(found: Sequence[GateFacts], waived: Mapping[str, str]) -> Iterator[str]:
    """The waivers of gates that hold without them."""
    used = {
        f"{name}.{gate.metric}"
        for gate in found
        if gate.waiver is not None
        for name in (gate.stage, gate.stage.partition("[")[0])
    }
    yield from (name for name in waived if name not in used)


def _gates_of(pipeline: ResolvedPipeline, stage: Stage) -> Iterator[str]:
    own = (
        [g for name, g in pipeline.release.gates if name == stage.name] if pipeline.release else []
    )
    for gate in (*stage.gates, *own):
        yield f"{stage.name}.{gate.metric}"
        yield f"{stage.base}.{gate.metric}"


def _of_stage(stage: Stage, waived: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for known in (stage.base, stage.name):
        for name, reason in waived.items():
            if name.startswith(f"{known}."):
                yield name.removeprefix(f"{known}."), reason


def _released(built: Built, stage: Stage, last: Tagged | None) -> Mapping[str, Json] | None:
    """What the released model has on today's samples; without a twin, what its build recorded."""
    if stage.twin is not None:
        result = built.results.get(stage.twin)
        if result is None or result.outcome is Outcome.EXCLUDED:
            return None
        twin = next(s for s in built.pipeline.stages if s.name == stage.twin)
        return metrics_of(built.pipeline.root, twin)
    out = next((o for o in stage.outputs if o.role == "metrics"), None)
    if last is None or out is None:
        return None
    data = file_at(built.pipeline.root, last.commit, out.path)
    return None if data is None else gates.parse_metrics(data, f"{last.tag}:{out.path}")


def _facts(stage: str, result: GateResult) -> GateFacts:
    limits = {
        f.name: value
        for f in fields(Gate)
        if f.name not in _NO_LIMITS and (value := getattr(result.gate, f.name)) is not None
    }
    if gates.compares([result.gate]):
        limits["against"] = "release"
        if result.gate.relative:
            limits["relative"] = list(result.gate.relative)
    if result.gate.first:
        limits["first"] = dict(result.gate.first)
    text = result.text
    if result.waiver is not None:
        text = text.removesuffix(f"; waived: {result.waiver}")
    return GateFacts(
        stage,
        result.gate.metric,
        limits,
        result.value,
        result.released,
        result.ok and result.waiver is None,
        text,
        result.waiver,
    )
