"""The models to choose from, with everything that is known of them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..._shared.coreml_package.canonical import size_of
from ..._shared.problem.problem import Problem


@dataclass
class Candidate:
    """One model; ``out`` says why it cannot be chosen."""

    place: int
    path: Path
    axes: dict[str, Any]
    figures: dict[str, float]
    out: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its axes as the pipeline writes them, or its place."""
        axes = ",".join(f"{k}={v}" for k, v in sorted(self.axes.items()))
        return axes or f"number {self.place + 1}"


def gather(job: Any) -> list[Candidate]:
    """All candidates, with figures from their reports.

    Raises:
        Problem: models and reports cannot be paired, or a report cannot be read.
    """
    models: list[Path] = job.inputs["models"]
    if not models:
        raise Problem("no candidate is left: the list of models is empty")
    axes = job.axes.get("models") or [{} for _ in models]
    reports = _paired(job, axes)
    candidates = []
    for place, (path, own) in enumerate(zip(models, axes, strict=True)):
        report = reports[place] if reports is not None else None
        figures = _figures(report) if report is not None else {}
        figures["size_mb"] = size_of(path) / 1e6
        candidate = Candidate(place, path, own, figures)
        if reports is not None and report is None:
            candidate.out.append("has no report")
        candidates.append(candidate)
    return candidates


def _paired(job: Any, axes: list[dict[str, Any]]) -> list[Path | None] | None:
    reports: list[Path] | None = job.inputs.get("reports")
    if reports is None:
        return None
    theirs = job.axes.get("reports") or [{} for _ in reports]
    if axes == theirs:
        # The same variants in the same order, as lists of several stages have them; by their axes
        # alone a stage without a matrix would match every variant.
        return list(reports)
    if any(axes) and any(theirs):
        return [_with_axes(own, reports, theirs) for own in axes]
    if len(reports) != len(axes):
        raise Problem(
            f"{len(axes)} models and {len(reports)} reports cannot be paired: they have no axes"
        )
    return list(reports)


def _with_axes(
    own: dict[str, Any], reports: list[Path], theirs: list[dict[str, Any]]
) -> Path | None:
    found = [
        path
        for path, other in zip(reports, theirs, strict=True)
        if all(own[axis] == other[axis] for axis in own.keys() & other.keys())
    ]
    if len(found) > 1:
        raise Problem(f"{len(found)} reports belong to the model {own}: give one of each variant")
    return found[0] if found else None


def _figures(report: Path) -> dict[str, float]:
    try:
        data = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"report {report.name} cannot be read: {error}") from error
    figures: dict[str, float] = {}
    _flatten(data, "", figures)
    return figures


def _flatten(data: Any, path: str, figures: dict[str, float]) -> None:
    """Every number under its dotted path; a share {value, n, ...} also under its own name."""
    if isinstance(data, bool):
        return
    if isinstance(data, int | float) and math.isfinite(data):
        figures[path] = float(data)
    elif isinstance(data, dict):
        for key, value in data.items():
            _flatten(value, f"{path}.{key}" if path else str(key), figures)
        if path and isinstance(data.get("value"), int | float):
            figures[path] = float(data["value"])
