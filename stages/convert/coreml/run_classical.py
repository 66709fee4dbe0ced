"""Convert a model of tables to a Core ML package, and compare the package with its library."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.classical.conversion import Task, check, description_of, make
from ..._shared.classical.outputs import Names
from ..._shared.coreml_package.canonical import save, size_of
from ..._shared.description.description import KEY
from ..._shared.problem.problem import Problem, told
from ..._shared.tables.description import samples
from ..._shared.tables.sheet import read_sheet
from ..._shared.tables.table import CATEGORY, typed
from ..._shared.torch_setup.configure import configure
from .classical_facts import facts_of
from .classical_sources import ClassicalSource, read

_MOST_SAMPLES = 500
_OF_NETWORKS = ("inputs", "float32_ops", "output_names", "iou_threshold", "confidence_threshold")


@told
def run(job: Any) -> None:
    """Read, map, describe, save, compare."""
    configure(job)
    _refuse_params(job.params)
    source = read(job)
    task = _task(source, job.params)
    rows = _samples(job, source)
    job.progress(0, 3, "converting")
    with tempfile.TemporaryDirectory(prefix="classical-") as folder:
        made = make(task, Path(folder) / "weights")
        _describe(made.model, job.params, description_of(task, made))
        job.progress(1, 3, "saving")
        written = save(made.model, Path(folder) / job.outputs["model"].name)
        job.progress(2, 3, "comparing with the library")
        figures = check(task, made, written, rows)
        package = save(made.model, job.outputs["model"])
    facts = facts_of(made.model.get_spec(), made.end, job.params.target)
    facts["verified"] = {"rows": figures.rows, "largest_difference": figures.difference}
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(package) / 1e6)
    job.metric("operators", facts["operators_in_all"])
    job.metric("specification_version", facts["specification_version"])
    job.metric("verified_rows", figures.rows)
    job.metric("largest_difference", figures.difference)
    if made.role == "classifier":
        job.metric("label_agreement", figures.agreed / figures.rows, n=figures.rows)


def _refuse_params(params: Any) -> None:
    for name in _OF_NETWORKS:
        if getattr(params, name):
            raise Problem(f"{name}: is for networks, this is a model of tables")
    if params.format != "mlprogram":
        raise Problem(f"format: {params.format} is for networks, this is a model of tables")


def _task(source: ClassicalSource, params: Any) -> Task:
    described = source.description
    if params.labels and described.get("labels"):
        raise Problem("labels: this model says its labels", hint="leave out labels")
    return Task(
        library=source.library,
        model=source.model,
        columns=source.columns,
        description=described,
        vector=params.features_name if params.features == "vector" else None,
        names=Names(
            label=params.label_output,
            scores=params.score_output,
            target=str(described.get("target") or "prediction"),
        ),
        labels=params.labels or _labels(source),
        target=_target(params.target),
        native=source.native,
    )


def _labels(source: ClassicalSource) -> Any:
    """Labels that a description knows, where the estimator itself has other classes."""
    found = source.description.get("labels")
    classes = getattr(source.model, "classes_", None)
    if not found or classes is None or isinstance(classes, list):
        return None
    return None if [str(c) for c in classes] == [str(label) for label in found] else found


def _target(name: str) -> str:
    """MacOS targets share their operators with the iOS of their year."""
    return {"macOS12": "iOS15", "macOS13": "iOS16", "macOS14": "iOS17", "macOS15": "iOS18"}.get(
        name, name
    )


def _samples(job: Any, source: ClassicalSource) -> list[Mapping[str, Any]]:
    """Rows of the table that was given, evenly spread over it."""
    path = job.inputs.get("samples")
    if path is None:
        return []
    types = {n: CATEGORY if kind == "category" else "number" for n, kind in source.columns}
    if source.description.get("reading"):
        table = samples(Path(path), source.description)
    else:
        table = typed(read_sheet(Path(path)), list(types), types)
    chosen = np.unique(np.linspace(0, len(table) - 1, min(len(table), _MOST_SAMPLES)).astype(int))
    columns = {n: c.values for n, c in table.columns.items()}
    return [
        {n: v[row] if types[n] == CATEGORY else float(v[row]) for n, v in columns.items()}
        for row in chosen
    ]


def _describe(mlmodel: Any, params: Any, description: str) -> None:
    mlmodel.author = params.author or ""
    mlmodel.license = params.licence or ""
    mlmodel.version = params.version or ""
    mlmodel.short_description = params.description or ""
    mlmodel.user_defined_metadata[KEY] = description
    for key, value in params.metadata.items():
        mlmodel.user_defined_metadata[key] = value
