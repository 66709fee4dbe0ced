"""What all kinds of tables do: read, judge, learn everything, record, describe."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from ..tables.description import FORMAT, inputs_of
from . import figures
from .data import CLASSIFICATION, GIVES, Given
from .judging import Learner, Verdict, judge


def supervised(
    job: Any, learner: Learner, given: Given, task: str
) -> tuple[Verdict, dict[str, Any]]:
    """Judge and learn a classifier or regressor, record its figures; the report so far."""
    verdict = judge(learner, given, job.params, task, job.progress)
    if task == CLASSIFICATION:
        assert given.labels is not None
        told = figures.classification(job, verdict, given.labels)
    else:
        told = figures.regression(job, verdict)
    return verdict, told


def describe(
    given: Given, task: str, target: str | None, libraries: list[str], probabilities: bool = True
) -> dict[str, Any]:
    """The description that a model carries, see docs/tables.md."""
    outputs = [
        {"name": name, "gives": gives}
        for name, gives in GIVES[task]
        if probabilities or gives != "probabilities"
    ]
    labels = given.labels if task == CLASSIFICATION else None
    return {
        "format": FORMAT,
        "task": task,
        "target": target,
        "labels": labels,
        "columns": given.columns,
        "inputs": inputs_of(given.columns),
        "outputs": outputs,
        "reading": given.reading,
        "library_versions": {name: version(name) for name in libraries},
    }


def finish(job: Any, given: Given, how: str, facts: dict[str, Any], told: dict[str, Any]) -> None:
    """Record what all have in common, and write the report."""
    job.metric("rows", len(given.train))
    job.metric("features", len(given.columns))
    size = job.outputs["model"].stat().st_size / 1e6
    job.metric("size_mb", size)
    report = {"evaluated_on": how, "rows": len(given.train), "size_mb": size, **facts, **told}
    report["columns"] = [column["name"] for column in given.columns]
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
