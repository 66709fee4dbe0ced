"""The job behind `mlbuild predict`; runs in the torch toolchain."""

import json
from pathlib import Path

import numpy as np
import torch

from mlbuild.coreml import CoreMLError, load, top_labels

_SHOWN = 8  # elements of an array that are printed


def run(job):
    """Loads the model, feeds it the named files, writes its answer as JSON."""
    torch.set_num_threads(job.threads)
    try:
        model = load(job.inputs["model"], precision=job.params.precision)
        features = {f.name: f for f in model.description.inputs}
        inputs = {n: _value(job, model, features, n, f) for n, f in job.params.inputs.items()}
        outputs = model.predict(inputs)
    except CoreMLError as error:
        job.fail(str(error))
    answer = {"model": str(job.inputs["model"]), "outputs": []}
    scores_name = model.description.predicted_probabilities
    for name, value in outputs.items():
        if name == scores_name:
            best = top_labels(model, outputs, job.params.top)
            answer["outputs"].append(
                {"name": name, "scores": [[str(k), float(v)] for k, v in best]}
            )
        else:
            answer["outputs"].append(_described(name, value))
    job.outputs["answer"].write_text(json.dumps(answer))


def _value(job, model, features, name, file):
    if name not in features:
        job.fail(f"the model has no input '{name}'; it has: {', '.join(features)}")
    if features[name].image is not None:
        return model.load_image(file, job.params.scale, name)
    end = Path(file).suffix.lower()
    if end not in (".npy", ".json"):
        job.fail(f"input '{name}' is an array: give it as .npy or .json, not as '{end}'")
    if end == ".npy":
        return np.load(file, allow_pickle=False)
    return np.asarray(json.loads(Path(file).read_text()))


def _described(name, value):
    if isinstance(value, str | int | float):
        return {"name": name, "value": value, "text": str(value)}
    array = np.asarray(value)
    flat = array.reshape(-1)
    shown = ", ".join(f"{v:.5g}" for v in flat[:_SHOWN].tolist())
    more = ", ..." if flat.size > _SHOWN else ""
    return {
        "name": name,
        "shape": list(array.shape),
        "value": array.tolist(),
        "text": f"{array.dtype} {list(array.shape)} [{shown}{more}]",
    }
