"""Convert a Keras model, a SavedModel or a frozen graph to a Core ML package."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ..._shared.coreml_package.canonical import save, size_of
from ..._shared.keras_model.setup import configure
from ..._shared.problem.problem import told
from ..._shared.torch_setup.configure import configure as configure_torch
from .describe import check, describe, report
from .sources import returned
from .tensorflow_check import ask, verify
from .tensorflow_conversion import convert
from .tensorflow_sources import read


@told
def run(job: Any) -> None:
    """Read, convert, describe, compare with TensorFlow, save."""
    tf = configure(job)
    configure_torch(job)  # the reference runtime's arithmetic
    source = read(tf, job)
    returns = returned(source, job.params)
    asked = ask(source)
    job.progress(0, 3, "converting")
    mlmodel = convert(tf, source, job.params, returns, job.log)
    describe(mlmodel, source, job.params, returns)
    facts = report(mlmodel, source, job.params)
    check(facts, source, job.params)
    job.progress(1, 3, "comparing with TensorFlow")
    with tempfile.TemporaryDirectory(prefix="tensorflow-") as folder:
        written = save(mlmodel, Path(folder) / job.outputs["model"].name)
        facts["verified"] = verify(written, source, asked, job.params, returns, job.log)
    job.progress(2, 3, "saving")
    package = save(mlmodel, job.outputs["model"])
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(package) / 1e6)
    job.metric("operators", sum(facts["operators"].values()))
    job.metric("specification_version", facts["specification_version"])
