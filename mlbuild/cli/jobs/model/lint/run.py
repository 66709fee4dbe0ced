"""The job behind `mlbuild lint`; runs in the torch toolchain."""

import json

import torch

from mlbuild.coreml import CoreMLError, load
from mlbuild.coreml.compare import random_samples, read_samples
from mlbuild.coreml.lint import lint


def run(job):
    """Checks the model and writes its findings as JSON."""
    torch.set_num_threads(job.threads)
    path = job.inputs["model"]
    try:
        found = findings(path, job.params.samples, job.params.limit, job.params.target)
    except CoreMLError as error:
        job.fail(str(error))
    job.outputs["answer"].write_text(json.dumps({"model": str(path), "findings": found}))


def findings(path, given, limit, target):
    """What is wrong with a model, on samples from files or so many at random."""
    if given == "0":
        samples = []
    elif given.isdigit():
        samples = random_samples(load(path), int(given))
    else:
        samples = read_samples(load(path), given, limit)
    return [finding.to_json() for finding in lint(path, samples, target)]
