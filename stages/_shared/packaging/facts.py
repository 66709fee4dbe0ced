"""What a package is delivered with: its description, digests, the figures it was accepted with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbuild.coreml import CoreMLError, Description, summarize
from mlbuild.coreml.description import describe
from mlbuild.coreml.labels import class_labels
from mlbuild.coreml.mil.reader import read_function
from mlbuild.coreml.mil.weights import WeightFiles
from mlbuild.coreml.package import open_model

from ..digests.tree import model_sha256
from ..problem.problem import Problem


@dataclass(frozen=True)
class Facts:
    """A model as it is delivered."""

    summary: dict[str, Any]  # of mlbuild.coreml.summarize
    description: Description
    labels: tuple[str | int, ...]
    objects: tuple[str, ...] = ()  # labels of what a detector finds, by column


def read(package: Path) -> Facts:
    """Read a model's description; its weights must be complete.

    Raises:
        Problem: the package is damaged.
    """
    try:
        summary = summarize(package, measure=False)
        files = open_model(package)
        labels: tuple[str | int, ...] = ()
        if summary["type"] == "mlProgram":
            name = files.spec.description.defaultFunctionName or None
            function, weights = read_function(files.spec.mlProgram, name), WeightFiles(files.folder)
            weights.check(function)
            labels = class_labels(function, weights)
        return Facts(summary, describe(files.spec, None, labels), labels, _objects(files.spec))
    except CoreMLError as error:
        raise Problem(f"the model cannot be packaged: {error}") from error


def _objects(spec: Any) -> tuple[str, ...]:
    """The labels that a pipeline's last model, a suppression of boxes, knows."""
    if spec.WhichOneof("Type") != "pipeline" or not spec.pipeline.models:
        return ()
    last = spec.pipeline.models[-1]
    if last.WhichOneof("Type") != "nonMaximumSuppression":
        return ()
    return tuple(last.nonMaximumSuppression.stringClassLabels.vector)


def accepted(
    reports: Sequence[Path], axes: Sequence[Mapping[str, Any]], package: Path
) -> list[dict[str, Any]]:
    """The figures of the reports that are about this model: kind, matrix axes, metrics.

    Args:
        reports: of stages, or their metrics.json; those that name another model are left out, so
            that the reports of all variants can be given.
        axes: matrix axes of each.
        package: the model.

    Raises:
        Problem: a file is no report, or all are about other models.
    """
    if not reports:
        return []
    model, found = model_sha256(package), []
    for place, path in enumerate(reports):
        report = _report(path)
        if report.get("model_sha256", model) != model:
            continue
        metrics = {key: value for key, value in report.items() if _is_metric(key, value)}
        entry: dict[str, Any] = {"kind": report.get("kind"), "metrics": metrics}
        own_axes = report.get("axes") or (axes[place] if place < len(axes) else {})
        if own_axes:
            entry["axes"] = dict(own_axes)
        found.append(entry)
    if not found:
        raise Problem(
            f"none of the {len(reports)} reports is about this model",
            hint="give the reports of the stage that validated it",
        )
    return found


def _report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"report {path.name} cannot be read: {error}") from error
    if isinstance(report, dict) and isinstance(report.get("candidates"), list):
        report = _chosen(report["candidates"])
    if not isinstance(report, dict) or not any(_is_metric(k, v) for k, v in report.items()):
        raise Problem(f"{path.name} is no report: it holds no metrics")
    return report


def _chosen(candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of the model that select/best chose, shares put together again."""
    best = next((c for c in candidates if c.get("chosen")), {})
    figures = best.get("figures", {})
    metrics = {name: value for name, value in figures.items() if "." not in name}
    for name in metrics:
        parts = {part: figures.get(f"{name}.{part}") for part in ("n", "low", "high")}
        if parts["n"] is not None:
            metrics[name] = {"value": figures[name], **parts, "n": int(parts["n"])}
    return {**metrics, "kind": "select/best", "axes": best.get("axes", {})}


def _is_metric(key: str, value: Any) -> bool:
    if isinstance(value, dict):
        return "value" in value and "n" in value
    return key != "version" and isinstance(value, int | float) and not isinstance(value, bool)


def model_facts(facts: Facts) -> dict[str, Any]:
    """The part of the summary that a manifest tells."""
    kept = ("type", "spec_version", "target", "inputs", "outputs", "metadata", "size_bytes")
    return {**{key: facts.summary[key] for key in kept}, "labels": list(facts.labels)}
