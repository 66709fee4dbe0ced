"""What a package is delivered with: its description, digests, the figures it was accepted with."""

from __future__ import annotations

import hashlib
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

from ..problem.problem import Problem


@dataclass(frozen=True)
class Facts:
    """A model as it is delivered."""

    summary: dict[str, Any]  # of mlbuild.coreml.summarize
    description: Description
    labels: tuple[str | int, ...]


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
        return Facts(summary, describe(files.spec, None, labels), labels)
    except CoreMLError as error:
        raise Problem(f"the model cannot be packaged: {error}") from error


def files_of(folder: Path) -> list[dict[str, Any]]:
    """Every file below a folder with size and SHA-256, by path."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix()):
        if path.is_file():
            data = path.read_bytes()
            found.append(
                {
                    "path": path.relative_to(folder).as_posix(),
                    "size_bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
            )
    return found


def tree_sha256(files: Sequence[Mapping[str, Any]]) -> str:
    """One digest of a folder: of the lines that ``sha256sum`` prints for its sorted files."""
    lines = "".join(f"{f['sha256']}  {f['path']}\n" for f in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def accepted(reports: Sequence[Path], axes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The figures of reports that stages wrote: kind, matrix axes, metrics.

    Raises:
        Problem: a file is no report with metrics.
    """
    found = []
    for place, path in enumerate(reports):
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            metrics = report["metrics"] if "metrics" in report else report["totals"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Problem(f"{path.name} is no report with metrics: {error}") from error
        entry = {"kind": report.get("kind"), "metrics": metrics}
        if place < len(axes) and axes[place]:
            entry["axes"] = dict(axes[place])
        found.append(entry)
    return found


def model_facts(facts: Facts) -> dict[str, Any]:
    """The part of the summary that a manifest tells."""
    kept = ("type", "spec_version", "target", "inputs", "outputs", "metadata", "size_bytes")
    return {**{key: facts.summary[key] for key in kept}, "labels": list(facts.labels)}
