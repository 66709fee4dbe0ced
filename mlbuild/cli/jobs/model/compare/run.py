"""The job behind `mlbuild compare`; runs in the toolchain that can read the reference."""

import json
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mlbuild.coreml import CoreMLError, load
from mlbuild.coreml.compare import (
    CoreMLReference,
    KerasReference,
    OnnxReference,
    SklearnReference,
    TorchReference,
    compare,
    random_samples,
    read_samples,
)
from mlbuild.coreml.features import encode_inputs

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def run(job):
    """Compares the two models and writes what was found as JSON."""
    torch.set_num_threads(job.threads)
    path, candidate = Path(job.params.reference), job.inputs["model"]
    try:
        model = load(candidate)
        if (path / "model.json").is_file():
            reference, samples = _described(job, path, model)
        else:
            samples = _samples(job, model)
            for sample in samples:  # Core ML's own complaint is clearer than another framework's
                encode_inputs(model.description, sample)
            reference = _opened(job, path)
        answer = compare(reference, candidate, samples).to_json()
    except CoreMLError as error:
        job.fail(str(error))
    job.outputs["answer"].write_text(json.dumps(answer))


def _opened(job, path):
    end = path.suffix.lower()
    if end in (".mlpackage", ".mlmodel"):
        return CoreMLReference(path)
    if end == ".onnx":
        return OnnxReference(path)
    if end in (".h5", ".hdf5", ".keras") or path.is_dir():
        return KerasReference(_keras(job, path))
    if end in (".pkl", ".pickle", ".joblib"):
        return SklearnReference(_estimator(job, path))
    try:
        if end == ".pt2":
            return TorchReference(torch.export.load(path).module())
        return TorchReference(torch.jit.load(path, map_location="cpu"))
    except (RuntimeError, ValueError, OSError, pickle.UnpicklingError) as error:
        job.fail(f"{path.name} is no {'exported' if end == '.pt2' else 'traced'} program: {error}")


def _keras(job, path):
    """A model of Keras 2, which coremltools converts, or of Keras 3."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # only the toolchain tensorflow has the two
    import tf_keras

    failures = []
    for library in (tf_keras, keras):
        try:
            return library.models.load_model(path, compile=False)
        except Exception as error:  # of h5py, zipfile, TensorFlow or the layers themselves
            failures.append(f"Keras {library.__version__}: {str(error).strip().splitlines()[0]}")
    return job.fail(f"{path.name} is no Keras model: {'; '.join(failures)}")


def _estimator(job, path):
    import joblib  # reads what pickle wrote too; scikit-learn brings it

    try:
        estimator = joblib.load(path)
    except Exception as error:  # whatever the pickled classes raise
        job.fail(f"{path.name} cannot be unpickled: {type(error).__name__}: {error}")
    if not hasattr(estimator, "predict") and not hasattr(estimator, "transform"):
        job.fail(f"{path.name} holds no estimator but a {type(estimator).__name__}")
    return estimator


def _samples(job, model):
    given = job.params.samples
    if given.isdigit():
        return random_samples(model, int(given))
    return read_samples(model, given, job.params.limit)


def _described(job, path, model):
    """A torch model's folder, which says itself how a picture becomes its input."""
    sys.path.insert(0, job.params.stages)
    from _shared.torch_model.model_file import load as load_torch  # a stage kind's own code

    source = load_torch(path)
    preprocessing, net = source.description.preprocessing, source.net
    pictures = [f for f in model.description.inputs if f.image is not None]
    if pictures and model.description.class_labels and source.description.output == "logits":
        net = torch.nn.Sequential(net, torch.nn.Softmax(dim=-1))
    samples = _samples(job, model)
    if not pictures:
        return TorchReference(net, labels=source.labels), samples
    name = pictures[0].name
    if not job.params.samples.isdigit():
        files = _files(Path(job.params.samples))[: job.params.limit]
        samples = [{name: preprocessing.fit(Image.open(file))} for file in files]

    def prepare(sample):
        picture = sample[name]
        if not isinstance(picture, Image.Image):
            picture = Image.fromarray(np.asarray(picture))
        return preprocessing.to_tensor(picture)[None]

    return TorchReference(net, prepare, labels=source.labels), samples


def _files(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.suffix.lower() in _PICTURES]
