"""A Core ML specification that another converter wrote: names, metadata, package.

For toolchains whose coremltools is too old to write packages; runs on Python 3.8.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..._shared.coreml_package.canonical import canonicalize, size_of
from ..._shared.description.description import KEY, to_text
from ..._shared.problem.problem import Problem

_PLATFORM = "com.github.apple.os.platform"  # of the machine, not of the model
_PREPROCESSING = "mlbuild.preprocessing"
_HALF_FROM = 2  # the specification version that knows weights of 16 bits
# Parameters of convert/coreml that say how a network or a table becomes a program.
_OF_OTHERS = {
    "float32_ops": [],
    "softmax": "auto",
    "columns": None,
    "features": "columns",
    "output_names": None,
    "output_tensors": None,
    "signature": None,
    "iou_threshold": None,
    "confidence_threshold": None,
}


def refuse(params: Any, what: str, more: Mapping[str, Any] = {}) -> None:
    """Tell of parameters that would do nothing.

    Raises:
        Problem: one is set.
    """
    for name, default in {**_OF_OTHERS, **more}.items():
        if getattr(params, name, default) != default:
            raise Problem(f"{name}: does nothing for {what}", hint=f"leave out {name}")


def rename(spec: Any, names: Mapping[str, str]) -> None:
    """Give features other names, throughout a model and the models inside it."""
    for model in models(spec):
        description = model.description
        for feature in (*description.input, *description.output, *description.trainingInput):
            feature.name = names.get(feature.name, feature.name)
        for field in ("predictedFeatureName", "predictedProbabilitiesName"):
            named = getattr(description, field)
            setattr(description, field, names.get(named, named))
        kind = model.WhichOneof("Type")
        if kind.startswith("neuralNetwork"):
            _rename_blobs(getattr(model, kind), names)
        if kind == "featureVectorizer":
            for column in model.featureVectorizer.inputList:
                column.inputColumn = names.get(column.inputColumn, column.inputColumn)


def _rename_blobs(network: Any, names: Mapping[str, str]) -> None:
    for layer in network.layers:
        for listed in (layer.input, layer.output):
            fresh = [names.get(name, name) for name in listed]
            del listed[:]
            listed.extend(fresh)
    for preprocessing in network.preprocessing:
        named = preprocessing.featureName
        preprocessing.featureName = names.get(named, named)
    if getattr(network, "labelProbabilityLayerName", ""):
        named = network.labelProbabilityLayerName
        network.labelProbabilityLayerName = names.get(named, named)


def models(spec: Any) -> Iterable[Any]:
    """A model and all models inside it."""
    yield spec
    kind = spec.WhichOneof("Type")
    if kind.startswith("pipeline"):
        held = getattr(spec, kind)
        for inner in (held if kind == "pipeline" else held.pipeline).models:
            yield from models(inner)


def halve_weights(spec: Any) -> int:
    """Store a network's weights in 16 bits; the number of weights."""
    count = sum(_halved(model) for model in models(spec))
    if count:
        for model in models(spec):
            version = model.specificationVersion
            model.specificationVersion = max(version, _HALF_FROM)
    return count


def _halved(message: Any) -> int:
    if message.DESCRIPTOR.name == "WeightParams":
        values = np.array(message.floatValue, dtype=np.float32)
        if not len(values):
            return 0
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise Problem("a weight is too large for 16 bits", hint="precision: float32")
        del message.floatValue[:]
        message.float16Value = half.tobytes()
        return len(values)
    count = 0
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            held = value if field.label == field.LABEL_REPEATED else [value]
            count += sum(_halved(inner) for inner in held)
    return count


def describe(spec: Any, params: Any, description: Mapping[str, Any]) -> None:
    """Write texts and metadata into the model."""
    metadata = spec.description.metadata
    metadata.author = params.author or ""
    metadata.license = params.licence or ""
    metadata.versionString = params.version or ""
    metadata.shortDescription = params.description or ""
    if _PLATFORM in metadata.userDefined:
        del metadata.userDefined[_PLATFORM]
    metadata.userDefined[KEY] = to_text(description)
    inputs = description.get("inputs") or [{}]
    if len(inputs) == 1 and inputs[0].get("preprocessing"):
        text = json.dumps(inputs[0]["preprocessing"], sort_keys=True)
        metadata.userDefined[_PREPROCESSING] = text
    for key, value in params.metadata.items():
        metadata.userDefined[key] = value


def write_package(spec: Any, path: Path) -> None:
    """An .mlpackage around a specification without files of weights."""
    if path.exists():
        shutil.rmtree(path)
    inside = Path("com.apple.CoreML") / "model.mlmodel"
    (path / "Data" / inside).parent.mkdir(parents=True)
    (path / "Data" / inside).write_bytes(spec.SerializeToString(deterministic=True))
    item = {
        "author": "com.apple.CoreML",
        "description": "CoreML Model Specification",
        "name": "model.mlmodel",
        "path": inside.as_posix(),
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"model": item},
        "rootModelIdentifier": "model",
    }
    (path / "Manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    canonicalize(path)


def finish(job: Any, spec: Any, labels: Iterable[str]) -> None:
    """Write package and report, record the metrics."""
    write_package(spec, job.outputs["model"])
    kinds = [model.WhichOneof("Type") for model in models(spec)]
    counted = _operators(spec)
    facts = {
        "target": job.params.target,
        "precision": job.params.precision,
        "specification_version": spec.specificationVersion,
        "type": kinds[0],
        "models": kinds,
        "inputs": [_feature(f) for f in spec.description.input],
        "outputs": [_feature(f) for f in spec.description.output],
        "labels": list(labels),
        "operators": counted,
    }
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    job.metric("size_mb", size_of(job.outputs["model"]) / 1e6)
    job.metric("operators", sum(counted.values()))
    job.metric("specification_version", spec.specificationVersion)


def _operators(spec: Any) -> Any:
    """Layers of networks and models that are none, by type."""
    found: Any = {}
    for model in models(spec):
        kind = model.WhichOneof("Type")
        if kind.startswith("pipeline"):
            continue
        network = getattr(model, kind) if kind.startswith("neuralNetwork") else None
        names = [kind] if network is None else [x.WhichOneof("layer") for x in network.layers]
        for name in names:
            found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def _feature(feature: Any) -> Any:
    kind = feature.type.WhichOneof("Type")
    facts = {"name": feature.name, "type": kind[: -len("Type")]}
    if feature.type.isOptional:
        facts["optional"] = True
    if kind == "imageType":
        image = feature.type.imageType
        facts.update(width=image.width, height=image.height)
    elif kind == "multiArrayType":
        facts["shape"] = list(feature.type.multiArrayType.shape)
    return facts
