"""The job behind `mlbuild lint`; runs in the torch toolchain."""

import json

import torch

from mlbuild.coreml import CoreMLError, load
from mlbuild.coreml.compare import random_samples, read_samples
from mlbuild.coreml.lint import lint


def run(job):
    """Checks the model and writes its findings as JSON."""
    torch.set_num_threads(job.threads)
    path, given = job.inputs["model"], job.params.samples
    try:
        if given == "0":
            samples = []
        elif given.isdigit():
            samples = random_samples(load(path), int(given))
        else:
            samples = read_samples(load(path), given, job.params.limit)
        findings = lint(path, samples, job.params.target)
    except CoreMLError as error:
        job.fail(str(error))
    answer = {"model": str(path), "findings": [finding.to_json() for finding in findings]}
    job.outputs["answer"].write_text(json.dumps(answer))
