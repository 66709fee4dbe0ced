"""Convert a trained network to a Core ML package."""

from __future__ import annotations

import json
from typing import Any

from ..._shared.coreml_package.canonical import save, size_of
from ..._shared.problem.problem import told
from ..._shared.torch_setup.configure import configure
from .columns import as_vector, with_columns
from .conversion import convert
from .describe import check, describe, report
from .functions import check_target, convert_functions
from .sources import DETECTOR, Source, read, returned
from .suppression import with_suppression


@told
def run(job: Any) -> None:
    """Read, convert, describe, check, save."""
    configure(job)
    source = read(job)
    returns = returned(source, job.params)
    if source.columns:
        source = as_vector(source, job.params)
    job.progress(0, 2, "converting")
    check_target(source, job.params)
    make = convert_functions if source.functions else convert
    mlmodel = make(source, job.params, returns, job.log)
    describe(mlmodel, source, job.params, returns)
    facts = report(mlmodel, source, job.params)
    check(facts, source, job.params)
    whole = _whole(mlmodel, source, job.params)
    if whole is not mlmodel:
        mlmodel = whole
        described = report(mlmodel, source, job.params)
        facts = {**facts, "inputs": described["inputs"], "outputs": described["outputs"]}
    job.progress(1, 2, "saving")
    package = save(mlmodel, job.outputs["model"])
    text = json.dumps(facts, indent=2, sort_keys=True)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(package) / 1e6)
    job.metric("operators", sum(facts["operators"].values()))
    job.metric("specification_version", facts["specification_version"])


def _whole(mlmodel: Any, source: Source, params: Any) -> Any:
    """The network with what Core ML puts before or behind it."""
    if source.task == DETECTOR and params.suppression:
        return with_suppression(mlmodel, source, params)
    if source.columns and params.features == "columns":
        return with_columns(mlmodel, source, source.columns)
    return mlmodel
