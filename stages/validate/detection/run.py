"""Ask a Core ML detector about annotated pictures, count what it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlbuild.coreml import CoreMLError, load

from ..._shared.coreml_package.canonical import size_of
from ..._shared.detection.average_precision import MOST, Found, score
from ..._shared.detection.examples import Examples, read
from ..._shared.detection.judge import FLOOR, detect, record
from ..._shared.digests.tree import model_sha256
from ..._shared.problem.problem import Problem, told
from ..._shared.torch_model.model_file import load as load_torch
from ..._shared.torch_model.preprocessing import Preprocessing, from_json
from ..._shared.torch_setup.configure import configure

_PREPROCESSING = "mlbuild.preprocessing"  # metadata that convert/coreml writes
_INPUTS = ("iouThreshold", "confidenceThreshold")
_OUTPUTS = ("confidence", "coordinates")
_FLOOR = 0.25  # where neither the stage nor the model says


@told
def run(job: Any) -> None:
    """Open, ask, count, report."""
    configure(job)
    params = job.params
    model, labels = _open(job.inputs["model"], params.precision)
    preprocessing = _preprocessing(model)
    samples, _ = read(job, "samples", preprocessing, labels, main="samples")
    found = _ask(job, model, samples, preprocessing)
    scores = score(found, samples.truth(), labels)
    if params.confidence_threshold is None:
        confidence = _facts(model).get("confidence_threshold", _FLOOR)
    else:
        confidence = params.confidence_threshold
    figures = record(job, scores, confidence, params.seed)
    more: dict[str, Any] = {
        "samples": len(samples),
        "size_mb": size_of(job.inputs["model"]) / 1e6,
    }
    if "reference" in job.inputs:
        theirs = _reference(job, samples, labels)
        more.update(reference_map50=theirs, drop=theirs - figures["map50"])
    for name, value in more.items():
        job.metric(name, value)
    report = {
        "version": 1,
        "kind": "validate/detection",
        "model_sha256": model_sha256(job.inputs["model"]),
        **figures,
        **more,
        "unreadable": samples.unreadable,
    }
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")


def _open(path: Path, precision: str) -> tuple[Any, tuple[str, ...]]:
    try:
        model = load(path, precision=precision)
    except CoreMLError as error:
        raise Problem(f"the model cannot be run: {error}") from error
    outputs = {f.name for f in model.description.outputs}
    labels = tuple(str(label) for label in model.description.class_labels)
    if not set(_OUTPUTS) <= outputs or not labels:
        raise Problem(
            f"the model is no detector: its outputs are {', '.join(sorted(outputs))}",
            hint="convert it with suppression: true; it needs confidence, coordinates and labels",
        )
    return model, labels


def _preprocessing(model: Any) -> Preprocessing:
    text = model.description.metadata.get("user_defined", {}).get(_PREPROCESSING)
    if text is not None:
        return from_json(json.loads(text))
    feature = model.image_input()
    channels = 1 if feature.image.channels == 1 else 3
    return Preprocessing(
        feature.image.height,
        feature.image.width,
        "GRAY" if channels == 1 else "RGB",
        (0.0,) * channels,
        (255.0,) * channels,
        "squash",
        1.0,
        "bilinear",
    )


def _facts(model: Any) -> dict[str, Any]:
    text = model.description.metadata.get("user_defined", {}).get("mlbuild.model")
    return dict(json.loads(text).get("facts", {})) if text else {}


def _ask(job: Any, model: Any, samples: Examples, preprocessing: Preprocessing) -> list[Found]:
    given = {"confidenceThreshold": FLOOR}
    if job.params.iou_threshold is not None:
        given["iouThreshold"] = job.params.iou_threshold
    known = {f.name for f in model.description.inputs}
    image = model.image_input().name
    found = []
    for done, pixels in enumerate(samples.pixels, 1):
        job.progress(done, len(samples), samples.names[done - 1])
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        inputs = {image: picture, **{k: v for k, v in given.items() if k in known}}
        try:
            answer = model.predict(inputs)
        except CoreMLError as error:
            raise Problem(f"sample {samples.names[done - 1]}: {error}") from error
        confidence, boxes = (np.asarray(answer[name], dtype=np.float64) for name in _OUTPUTS)
        told_ = confidence.max(axis=1, initial=0.0) >= FLOOR  # others only fill a fixed shape
        confidence, boxes = confidence[told_][:MOST], boxes[told_][:MOST]
        found.append(Found(confidence.argmax(axis=1), confidence.max(axis=1, initial=0.0), boxes))
    return found


def _reference(job: Any, samples: Examples, labels: tuple[str, ...]) -> float:
    model = load_torch(job.inputs["reference"])
    described = model.description
    if described.task != "object-detector" or described.preprocessing is None:
        raise Problem(f"reference: no detector but: {described.task}")
    if set(described.labels) != set(labels):
        raise Problem("reference: its labels are not the model's")
    again, _ = read(job, "samples", described.preprocessing, described.labels, main="samples")
    iou = job.params.iou_threshold or described.facts["iou_threshold"]
    per_class = bool(described.facts["per_class"])
    found = detect(model.net, again.pixels, described.preprocessing, iou, per_class)
    return score(found, again.truth(), described.labels).at(0.5)
