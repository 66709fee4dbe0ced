"""The job behind `mlbuild report MODEL`: one process for both versions, in the torch toolchain.

What it tells of each is what the jobs of `inspect` and `lint` tell.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch

from mlbuild.coreml import CoreMLError, load, summarize
from mlbuild.coreml.compare import figures, random_samples, read_samples

from ..lint.run import findings


def run(job):
    """Looks at the model, and at the one that it is to replace, and asks both the same."""
    torch.set_num_threads(job.threads)
    path, before = job.inputs["model"], job.params.before
    try:
        answer = {"now": _told(job, path), "before": None, "beside": None}
    except CoreMLError as error:
        job.fail(str(error))
    if before is not None:
        try:
            answer["before"] = _told(job, Path(before))
        except CoreMLError as error:
            job.fail(f"the version before: {error}")
        answer["beside"] = _beside(job, path, Path(before), answer)
    job.outputs["answer"].write_text(json.dumps(answer))


def _told(job, path):
    facts = summarize(path)
    facts.pop("weights", None)  # hundreds of rows that no report shows
    told = {"facts": facts, "labels": [], "findings": [], "refused": None}
    try:
        told["labels"] = [str(label) for label in load(path).description.class_labels]
        given = job.params.samples
        told["findings"] = findings(path, given, job.params.limit, job.params.target)
    except CoreMLError as error:  # what the reference runtime cannot run can still be described
        told["refused"] = str(error)
    return told


def _beside(job, path, before, answer):
    """How far the answers of both are from each other on the same samples."""
    if answer["now"]["refused"] or answer["before"]["refused"]:
        return {"why": "one of the two cannot be run"}
    one, two = load(path), load(before)
    given = job.params.samples
    try:
        if given.isdigit():
            samples = random_samples(two, int(given))
        else:
            samples = read_samples(two, given, job.params.limit)
        if not samples:
            return {"why": "no samples were asked for"}
        ours, theirs = one.predict_many(samples), two.predict_many(samples)
    except CoreMLError as error:
        return {"why": str(error)}
    outputs = []
    for name, was in _shared(ours[0], theirs[0]):
        pairs = [_numbers(a[name], b[was]) for a, b in zip(ours, theirs, strict=True)]
        if all(pair is not None for pair in pairs):
            told = figures(*zip(*pairs, strict=True)).to_json()
            outputs.append({"name": name, **told, "equal": told["max_abs"] == 0})
    label = two.description.predicted_feature
    agreed = None
    if label is not None and label == one.description.predicted_feature:
        agreed = sum(a[label] == b[label] for a, b in zip(ours, theirs, strict=True))
    return {"samples": len(samples), "outputs": outputs, "agreed": agreed}


def _shared(ours, theirs):
    """Names of outputs that belong together; a single one may have been renamed."""
    same = sorted(ours.keys() & theirs.keys())
    if not same and len(ours) == len(theirs) == 1:
        return [(*ours, *theirs)]
    return [(name, name) for name in same]


def _numbers(ours, theirs):
    """Two answers as vectors; of scores by label those of the labels that both have."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        shared = [label for label in theirs if label in ours]
        ours, theirs = [ours[n] for n in shared], [theirs[n] for n in shared]
    try:
        pair = [torch.from_numpy(np.asarray(v, dtype=np.float64)) for v in (ours, theirs)]
    except (TypeError, ValueError):  # labels, sequences of words
        return None
    sizes = {math.prod(value.shape) for value in pair}
    return pair if sizes != {0} else None
