"""The job behind `mlbuild inspect`; runs in the torch toolchain."""

import json

from mlbuild.coreml import CoreMLError, summarize


def run(job):
    """Reads the model's structure and writes it as JSON."""
    try:
        answer = summarize(job.inputs["model"])
    except CoreMLError as error:
        job.fail(str(error))
    job.outputs["answer"].write_text(json.dumps(answer))
