"""A badge, as the endpoint of shields.io reads it: https://shields.io/badges/endpoint-badge."""

from __future__ import annotations

import json
import math
import sys

from mlbuild.report import words
from mlbuild.report.summary.built import Built
from mlbuild.report.summary.figures import shown
from mlbuild.report.summary.model import Model

_SYSTEMS = {"linux": "Linux", "darwin": "macOS"}


def built_badge(built: Built) -> str:
    """Of a pipeline: the main artifact's likeness and size, and whether all gates hold."""
    facts = []
    if built.psnr_db is not None:
        facts.append(_likeness(built.psnr_db))
    if built.artifacts and built.artifacts[0].size is not None:
        facts.append(words.size(built.artifacts[0].size))
    if not any(told.key for told in built.stages):
        return _badge(built.pipeline, ["not built"], "lightgrey")
    if built.failed:
        return _badge(built.pipeline, [*facts, "gate failed"], "red")
    if built.unsettled:
        return _badge(built.pipeline, [*facts, "out of date"], "lightgrey")
    measured = built.psnr_db is not None
    return _badge(built.pipeline, [*facts, _verified() if measured else "built"], "brightgreen")


def model_badge(model: Model) -> str:
    """Of one model: likeness to its source, size, and whether it was found right."""
    facts = []
    if model.psnr_db is not None:
        facts.append(_likeness(model.psnr_db))
    facts.append(words.size(model.now.facts["size_bytes"]))
    if model.failed:
        return _badge(model.name, [*facts, "check failed"], "red")
    worse = any(finding["severity"] != "note" for finding in model.now.findings)
    word = _verified() if model.psnr_db is not None else "no source to compare with"
    return _badge(model.name, [*facts, word], "yellow" if worse else "brightgreen")


def _likeness(psnr_db: float) -> str:
    text = shown(psnr_db, "dB")
    return text if text == "equal" else f"{math.floor(psnr_db)} dB"  # no more than was measured


def _verified() -> str:
    return f"verified on {_SYSTEMS.get(sys.platform, sys.platform)}"


def _badge(label: str, facts: list[str], color: str) -> str:
    badge = {"schemaVersion": 1, "label": label, "message": ", ".join(facts), "color": color}
    return json.dumps(badge, ensure_ascii=False)
