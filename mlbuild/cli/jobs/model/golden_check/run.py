"""The job behind `mlbuild golden check`; runs in the torch toolchain."""

import json

import torch

from mlbuild.coreml import CoreMLError, ModelFileError
from mlbuild.coreml.golden import check, find


def run(job):
    """Checks every recording of a folder and writes the findings as JSON."""
    torch.set_num_threads(job.threads)
    recordings, errors = [], []
    try:
        folders = find(job.inputs["model"])
    except ModelFileError as error:
        folders, errors = [], [str(error)]
    for folder in folders:
        try:
            checked = check(folder, job.params.model, job.params.min_psnr_db)
            recordings.append(checked.to_json())
        except ModelFileError as error:
            errors.append(str(error))
        except CoreMLError as error:
            job.fail(f"{folder}: {error}")
    within = bool(recordings) and all(one["within"] for one in recordings) and not errors
    answer = {"version": 1, "within": within, "recordings": recordings, "errors": errors}
    job.outputs["answer"].write_text(json.dumps(answer))
