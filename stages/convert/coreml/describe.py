"""What the package says of itself, and whether it is what was asked for."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import coremltools as ct

from ..._shared.problem.problem import Problem
from .sources import Source

_PREVIEW = "com.apple.coreml.model.preview.type"


def describe(mlmodel: Any, source: Source, params: Any, returns: str) -> None:
    """Write names, texts and metadata into the model."""
    if returns == "classifier" and params.score_output:
        ct.utils.rename_feature(mlmodel._spec, f"{params.label_output}_probs", params.score_output)
    mlmodel.author = params.author or ""
    mlmodel.license = params.licence or ""
    mlmodel.version = params.version or ""
    mlmodel.short_description = params.description or ""
    for key, value in source.metadata.items():
        mlmodel.user_defined_metadata[key] = json.dumps(value, sort_keys=True)
    if returns == "classifier" and any(f.pixels for f in source.features):
        mlmodel.user_defined_metadata[_PREVIEW] = "imageClassifier"
    for key, value in params.metadata.items():
        mlmodel.user_defined_metadata[key] = value
    helped = source.helps()
    for feature in (f for part in _parts(mlmodel._spec) for f in part.input):
        feature.shortDescription = helped.get(feature.name, "")
        if feature.type.WhichOneof("Type") == "imageType":
            size = feature.type.imageType
            feature.shortDescription = f"Image, {size.width} by {size.height} pixels"
    for feature in (f for part in _parts(mlmodel._spec) for f in part.output):
        if feature.type.WhichOneof("Type") == "dictionaryType":
            feature.shortDescription = "Score of each label, 0 to 1"
        elif feature.type.WhichOneof("Type") == "stringType":
            feature.shortDescription = "Label with the highest score"


def report(mlmodel: Any, source: Source, params: Any) -> dict[str, Any]:
    """Facts on the result, read back from its specification."""
    spec = mlmodel.get_spec()
    description = spec.description
    if description.functions:
        described = [_interface(part) for part in description.functions]
        interface = {**described[0], "functions": described}
    else:
        interface = _interface(description)
    return {
        "target": params.target,
        "precision": params.precision,
        "specification_version": spec.specificationVersion,
        **interface,
        "labels": list(source.labels or ()),
        "operators": dict(sorted(_operators(spec).items())),
    }


def check(facts: dict[str, Any], source: Source, params: Any) -> None:
    """Compare the result with what was asked for.

    Raises:
        Problem: the converter made something else.
    """
    got, asked = [f["name"] for f in facts["inputs"]], [f.name for f in source.features]
    if got != asked:
        raise Problem(f"inputs are called {', '.join(got)}, asked was {', '.join(asked)}")
    for fact, feature in zip(facts["inputs"], source.features, strict=True):
        if feature.pixels and fact["type"] != "image":
            raise Problem(f"input '{feature.name}' became a {fact['type']}, asked was an image")
    wanted = getattr(ct.target, params.target).value
    if facts["specification_version"] != wanted:
        raise Problem(
            f"specification version is {facts['specification_version']}, "
            f"{params.target} means {wanted}"
        )


def _parts(spec: Any) -> list[Any]:
    """What has inputs and outputs: the model, or each of its functions."""
    return list(spec.description.functions) or [spec.description]


def _interface(part: Any) -> dict[str, Any]:
    facts = {
        "inputs": [_feature(f) for f in part.input],
        "outputs": [_feature(f) for f in part.output],
    }
    if part.state:
        facts["states"] = [_feature(f) for f in part.state]
    name = getattr(part, "name", "")
    return {"function": name, **facts} if name else facts


def _operators(spec: Any) -> Counter[str]:
    counted: Counter[str] = Counter()
    if spec.WhichOneof("Type") == "pipeline":
        return sum((_operators(model) for model in spec.pipeline.models), counted)
    network = spec.WhichOneof("Type")
    if network.startswith("neuralNetwork"):
        counted.update(layer.WhichOneof("layer") for layer in getattr(spec, network).layers)
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            counted.update(op.type for op in block.operations if op.type != "const")
    return counted


def _feature(feature: Any) -> dict[str, Any]:
    kind = feature.type.WhichOneof("Type")
    facts: dict[str, Any] = {"name": feature.name, "type": kind.removesuffix("Type")}
    if kind == "imageType":
        image = feature.type.imageType
        colour = image.DESCRIPTOR.enum_types_by_name["ColorSpace"].values_by_number[
            image.colorSpace
        ]
        facts.update(width=image.width, height=image.height, colour=colour.name)
    elif kind in ("multiArrayType", "stateType"):
        held = getattr(feature.type, kind)
        array = held.arrayType if kind == "stateType" else held
        dtype = array.DESCRIPTOR.enum_types_by_name["ArrayDataType"]
        facts.update(shape=list(array.shape), dtype=dtype.values_by_number[array.dataType].name)
    return facts
