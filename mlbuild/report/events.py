"""Builds and plans as JSON lines: one object for each stage, then one for the build."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from mlbuild.plan import Planned
from mlbuild.records import BuildResult, Decision, GateResult, Outcome, StageResult
from mlbuild.report.listener import Silent

EVENTS_VERSION = 1


def stage_event(result: StageResult) -> dict[str, Any]:
    """The object that `run --json` prints when a stage ends."""
    event: dict[str, Any] = {
        "event": "stage",
        "stage": result.stage,
        "outcome": str(result.outcome),
        "reasons": [str(r) for r in result.reasons],
        "seconds": round(result.seconds, 3),
        "key": result.key,
    }
    if result.outputs:
        event["outputs"] = dict(result.outputs)
        event["sizes"] = dict(result.sizes)
    if result.gates:
        event["gates"] = [_gate(gate) for gate in result.gates]
    if result.notes:
        event["notes"] = list(result.notes)
    if result.undeclared:
        event["undeclared"] = list(result.undeclared)
    if result.failure:
        event["error"] = {"message": result.failure.message, "hint": result.failure.hint}
    if result.log:
        event["log"] = str(result.log)
    return event


def _gate(result: GateResult) -> dict[str, Any]:
    found = {"metric": result.gate.metric, "value": result.value, "ok": result.ok}
    more = {"released": result.released, "waiver": result.waiver}
    return {**found, "text": result.text, **{k: v for k, v in more.items() if v is not None}}


def build_event(result: BuildResult) -> dict[str, Any]:
    """The last object that `run --json` prints."""
    counted = {str(o): result.count(o) for o in Outcome}
    event: dict[str, Any] = {
        "event": "build",
        "version": EVENTS_VERSION,
        "pipeline": result.pipeline,
        "outcome": "ok" if result.ok else "failed",
        "exit_code": result.exit_code,
        **counted,
        "seconds": round(result.seconds, 3),
    }
    if result.notes:
        event["notes"] = list(result.notes)
    return event


def plan_events(planned: Iterable[Planned]) -> list[dict[str, Any]]:
    """What `status --json` prints: the stage objects with a decision in place of an outcome."""
    return [
        {
            "event": "stage",
            "stage": p.stage.name,
            "decision": str(p.decision),
            "reasons": [str(r) for r in p.reasons],
            "key": p.key,
            **({"note": p.note} if p.note else {}),
            **(
                {"undeclared": list(p.record.undeclared)}
                if p.record and p.record.undeclared
                else {}
            ),
        }
        for p in planned
    ]


def status_event(pipeline: str, planned: list[Planned]) -> dict[str, Any]:
    """The last object of `status --json`."""
    counts = {str(d): sum(1 for p in planned if p.decision is d) for d in Decision}
    return {"event": "status", "version": EVENTS_VERSION, "pipeline": pipeline, **counts}


def line(event: dict[str, Any]) -> str:
    """One event as one line."""
    return json.dumps(event, ensure_ascii=False)


class JsonLines(Silent):
    """Prints events as they happen, and nothing else."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def ended(self, result: StageResult) -> None:
        """One line for each stage."""
        self._write(line(stage_event(result)))

    def finished(self, result: BuildResult) -> None:
        """The last line."""
        self._write(line(build_event(result)))
