"""The job behind `mlbuild release`; runs in the torch toolchain."""

import json

from mlbuild.coreml import CoreMLError, summarize
from mlbuild.coreml.identity import content_of, labels_of


def run(job):
    """Reads what `mlbuild inspect` tells, the labels, and a digest of all but the metadata."""
    model = job.inputs["model"]
    try:
        answer = summarize(model)
        answer["class_labels"] = labels_of(model)
        answer["content"] = content_of(model)
    except CoreMLError as error:
        job.fail(str(error))
    job.outputs["answer"].write_text(json.dumps(answer))
