"""Describe, save, try and report: the same for every toolchain."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import coremltools as ct

from ..._shared.coreml_package.canonical import save, size_of
from .made import Made
from .trial import Figures, Trial


def finish(job: Any, made: Made, trial: Trial) -> None:
    """Write the package if the trial went well."""
    _describe(made, job.params)
    model = ct.models.MLModel(made.spec, skip_model_load=True)
    with tempfile.TemporaryDirectory(prefix="updatable-") as folder:
        work = Path(folder)
        written = save(model, work / job.outputs["model"].name)
        figures = trial.run(written, work)
    job.progress(2, 3, "saving")
    package = save(model, job.outputs["model"])
    facts = _facts(made, figures, trial)
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(package) / 1e6)
    job.metric("specification_version", made.spec.specificationVersion)
    job.metric("trainable_weights", made.weights)
    job.metric("largest_difference", figures.difference)
    job.metric("loss_before", figures.before)
    job.metric("loss_after", figures.after)
    if made.labels and trial.cases.given:
        job.metric("accuracy_before", figures.right_before / figures.count, n=figures.count)
        job.metric("accuracy_after", figures.right_after / figures.count, n=figures.count)
    job.progress(3, 3, "done")


def _describe(made: Made, params: Any) -> None:
    metadata = made.spec.description.metadata
    metadata.author = params.author or ""
    metadata.license = params.licence or ""
    metadata.versionString = params.version or ""
    metadata.shortDescription = params.description or ""
    for key, value in made.metadata.items():
        metadata.userDefined[key] = value
    if "mlbuild.preprocessing" in made.metadata and made.labels:
        metadata.userDefined["com.apple.coreml.model.preview.type"] = "imageClassifier"


def _facts(made: Made, figures: Figures, trial: Trial) -> dict[str, Any]:
    described = made.spec.description
    return {
        "specification_version": made.spec.specificationVersion,
        "type": made.spec.WhichOneof("Type"),
        "inputs": [f.name for f in described.input],
        "outputs": [f.name for f in described.output],
        "labels": list(made.labels),
        "learns": {
            "from": [f.name for f in described.trainingInput],
            "what": made.learns,
            "layers": list(made.layers),
            "weights": made.weights,
            "loss": made.loss,
        },
        "trial": {
            "samples": "given" if trial.cases.given else "drawn",
            "count": figures.count,
            "largest_difference": figures.difference,
            "loss_before": figures.before,
            "loss_after": figures.after,
        },
    }
