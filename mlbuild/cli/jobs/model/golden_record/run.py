"""The job behind `mlbuild golden record`; runs in the torch toolchain of a Mac."""

import json
from pathlib import Path

from mlbuild.coreml import CoreMLError
from mlbuild.coreml.golden import UNITS, read_samples, record


def run(job):
    """Asks Core ML itself and writes its answers into a folder named as the model."""
    model = Path(job.inputs["model"])
    folder = Path(job.params.folder) / model.stem
    try:
        samples = read_samples(model, job.params.samples)
        golden = record(model, samples, folder, units=job.params.units or UNITS)
    except CoreMLError as error:
        job.fail(str(error))
    answer = {
        "folder": str(golden.folder),
        "model": golden.model,
        "system": golden.system,
        "samples": golden.samples,
        "runs": golden.runs,
    }
    job.outputs["answer"].write_text(json.dumps(answer))
