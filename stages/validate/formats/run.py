"""One table of a model in several formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..._shared.images.listing import labelled
from ..._shared.parity.predicted import PredictedSide
from ..._shared.problem.problem import Problem, told
from .table import Column, columns_of
from .write import write


@told
def run(job: Any) -> None:
    """Read all answers, compare, tell."""
    sides = [PredictedSide(path) for path in job.inputs["models"]]
    given = "reference" in job.inputs
    reference = PredictedSide(job.inputs["reference"]) if given else sides[0]
    names = _names(sides, job.params.names)
    columns = columns_of(reference, dict(zip(names, sides, strict=True)), _truth(job))
    metrics = _metrics(columns, len(reference.found.samples))
    for name, value in metrics.items():
        if isinstance(value, dict):
            job.metric(name, value["value"], n=value["n"])
        else:
            job.metric(name, value)
    write(job, reference.about, columns, metrics, None if given else names[0])


def _names(sides: list[PredictedSide], wanted: list[str] | None) -> list[str]:
    if wanted is not None:
        if len(wanted) != len(sides):
            raise Problem(f"names: {len(wanted)} names, there are {len(sides)} models")
        return wanted
    plain = [re.sub(r"[^a-z0-9]+", "-", side.about.format.lower()).strip("-") for side in sides]
    return [
        name if plain.count(name) == 1 else f"{name}-{plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    ]


def _truth(job: Any) -> dict[str, str]:
    """The label of each sample that has one."""
    source: Path = job.inputs["samples"]
    if not source.is_dir():
        return {}
    try:
        items = labelled(source, job.params.path_column, job.params.label_column)
    except Problem as problem:
        job.log(f"accuracy cannot be told: {problem}")
        return {}
    return {item.name: item.label for item in items}


def _metrics(columns: list[Column], samples: int) -> dict[str, Any]:
    metrics: dict[str, Any] = {"models": len(columns), "samples": samples}
    for column in columns:
        metrics[f"size_mb.{column.name}"] = column.about.size / 1e6
        for what in ("accuracy", "agreement"):
            share = getattr(column, what)
            if share is not None:
                metrics[f"{what}.{column.name}"] = share.to_json()
        metrics[f"psnr_db.{column.name}"] = column.psnr_db
    return metrics
