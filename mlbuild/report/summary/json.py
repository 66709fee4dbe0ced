"""A report as one JSON object, with everything that the others show or fold."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from mlbuild.records import Gate, GateResult
from mlbuild.report.summary.built import Artifact, Built, Figure, Told
from mlbuild.report.summary.changed import Change
from mlbuild.report.summary.model import Model, Version, fresh

VERSION = 1


def built_json(built: Built) -> str:
    """Of a pipeline."""
    against = built.against
    facts = {
        "version": VERSION,
        "pipeline": built.pipeline,
        "ok": built.exit_code == 0,
        "against": against
        and {"label": against.label, "commit": against.commit, "release": against.version},
        "psnr_db": built.psnr_db,
        "stages": [_stage(told) for told in built.stages],
        "artifacts": [_artifact(artifact) for artifact in built.artifacts],
        "changes": [_change(change) for change in built.changes],
        "added": list(built.added),
        "removed": list(built.removed),
        "notes": list(built.notes),
    }
    return json.dumps(facts, ensure_ascii=False, indent=2)


def model_json(model: Model) -> str:
    """Of one model."""
    before = model.before
    came, went = fresh(model.now.findings, before.findings) if before else ((), ())
    facts = {
        "version": VERSION,
        "model": model.path,
        "ok": not model.failed,
        "failed": list(model.failed),
        "size_bytes": model.now.facts["size_bytes"],
        "psnr_db": model.psnr_db,
        "against": model.against,
        "psnr_before_db": model.psnr_before_db,
        "agreement": model.agreement,
        "now": _version(model.now),
        "before": _version(before) if before else None,
        "findings_new": list(came),
        "findings_gone": list(went),
        "source": model.source,
        "comparison": model.comparison,
        "notes": list(model.notes),
    }
    return json.dumps(facts, ensure_ascii=False, indent=2)


def _stage(told: Told) -> dict[str, Any]:
    return {
        "stage": told.name,
        "kind": told.kind,
        "state": str(told.state),
        "reasons": list(told.reasons),
        "key": told.key,
        "metrics": {figure.metric: _figure(figure) for figure in told.figures},
        "gates": [_gate(gate) for gate in told.gates],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "now": figure.now,
        "before": figure.before,
        "unit": figure.unit,
        "better": figure.better,
    }


def _gate(result: GateResult) -> dict[str, Any]:
    limits = {
        field.name: value
        for field in fields(Gate)
        if field.name not in ("metric", "place")
        and (value := getattr(result.gate, field.name)) not in (None, ())
    }
    return {
        "metric": result.gate.metric,
        "limits": {k: dict(v) if k == "first" else v for k, v in limits.items()},
        "value": result.value,
        "released": result.released,
        "ok": result.ok,
        "text": result.text,
        "waiver": result.waiver,
    }


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "path": artifact.path,
        "stage": artifact.stage,
        "output": artifact.output,
        "type": artifact.type,
        "md5": artifact.md5,
        "size": artifact.size,
        "size_before": artifact.before,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "what": change.what,
        "name": change.name,
        "before": change.before,
        "now": change.now,
        "stages": list(change.stages),
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "facts": dict(version.facts),
        "labels": list(version.labels),
        "findings": list(version.findings),
        "refused": version.refused,
    }
