"""From a graph to one Core ML model: steps become models, several models a pipeline."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import coremltools as ct
from coremltools.proto import FeatureTypes_pb2 as feature_types
from coremltools.proto import Model_pb2 as model_types

from .graph import ARRAY, DOUBLE, INT64, SCORES, TEXT, Graph, ModelStep, ProgramStep, Value
from .programs import convert

_DTYPES = {
    "float64": feature_types.ArrayFeatureType.DOUBLE,
    "float32": feature_types.ArrayFeatureType.FLOAT32,
    "int32": feature_types.ArrayFeatureType.INT32,
}
_CLASSICAL_VERSION = 4  # iOS13: the oldest with every classical model that is written here


@dataclass(frozen=True)
class Result:
    """What the whole model gives; ``predicted`` is a label or a regressor's number."""

    outputs: tuple[Value, ...]
    predicted: Value | None = None
    probabilities: Value | None = None


def assemble(graph: Graph, result: Result, target: str, folder: Path) -> Any:
    """One MLModel of a graph; its weights lie in ``folder``, which is made."""
    steps = _needed(graph.steps, result.outputs)
    steps = _bridged(graph, steps, result.outputs)
    _mark_optional(graph, steps)
    groups = _groups(steps, result.outputs)
    specs = []
    folder.mkdir(parents=True, exist_ok=True)
    for group in groups:
        if isinstance(group[0], ModelStep):
            specs.append(_model(group[0]))
        else:
            model = convert(group, *_borders(group, steps, result.outputs), target)
            specs.append(_with_weights(model, folder, len(specs)))
    spec = specs[0] if len(specs) == 1 else _pipeline(graph, specs, result)
    programs = any(m.WhichOneof("Type") == "mlProgram" for m in specs)
    if programs:
        spec.specificationVersion = max(m.specificationVersion for m in specs)
    return ct.models.MLModel(
        spec, weights_dir=str(folder) if programs else None, skip_model_load=True
    )


def _needed(steps: Sequence[Any], outputs: Sequence[Value]) -> list[Any]:
    """Steps whose values are used, in order."""
    wanted, kept = set(outputs), []
    for step in reversed(steps):
        if wanted & set(step.outputs):
            wanted |= set(step.inputs)
            kept.append(step)
    return kept[::-1]


def _bridged(graph: Graph, steps: list[Any], outputs: Sequence[Value]) -> list[Any]:
    """Programs compute in float32: vectors that enter them are described so.

    Core ML refuses a pipeline where a feature is described otherwise by the model that takes it.
    """
    result: list[Any] = []
    bridges: dict[Value, Value] = {}
    for step in steps:
        if isinstance(step, ProgramStep):
            for value in step.inputs:
                if value.kind == ARRAY and value.dtype != "float32" and value not in bridges:
                    bridges[value] = _bridge(graph, value, steps, outputs, result)
            step = replace(step, inputs=[bridges.get(v, v) for v in step.inputs])
        result.append(step)
    return result


def _bridge(
    graph: Graph, value: Value, steps: list[Any], outputs: Sequence[Value], result: list[Any]
) -> Value:
    takers = [s for s in steps if value in s.inputs]
    if all(isinstance(s, ProgramStep) for s in takers) and value not in outputs:
        value.dtype = "float32"
        return value
    rounded = graph.array("rounded", value.width, "float32")

    def fill(spec: Any) -> None:
        spec.scaler.scaleValue.append(1.0)

    result.append(ModelStep("scaler", [value], [rounded], fill))
    return rounded


def _mark_optional(graph: Graph, steps: Sequence[Any]) -> None:
    for value in graph.inputs:
        takers = [s for s in steps if value in s.inputs]
        value.optional = (
            value.kind != ARRAY
            and bool(takers)
            and all(isinstance(s, ModelStep) and s.takes_missing for s in takers)
        )


def _groups(steps: Sequence[Any], outputs: Sequence[Value]) -> list[list[Any]]:
    """Steps in the order of models; program steps that need no model between them together."""
    level: dict[Value, tuple[int, bool]] = {}
    levels: dict[int, list[ProgramStep]] = {}
    models: dict[int, list[ModelStep]] = {}
    for step in steps:
        is_program = isinstance(step, ProgramStep)
        # On one level models come first, so that only a model has to wait for a program.
        at = 0
        for value in step.inputs:
            below, by_program = level.get(value, (0, False))
            at = max(at, below + 1 if by_program and not is_program else below)
        if is_program and step.labels is not None:
            while _shared(levels.get(at, ()), steps, outputs, step):
                at += 1
        (levels if is_program else models).setdefault(at, []).append(step)
        level.update(dict.fromkeys(step.outputs, (at, is_program)))
    groups: list[Any] = []
    for at in sorted({*levels, *models}):
        groups += [[model] for model in models.get(at, ())]
        if at in levels:
            groups.append(levels[at])
    return groups


def _shared(
    group: Sequence[ProgramStep], steps: Sequence[Any], outputs: Sequence[Value], tail: ProgramStep
) -> bool:
    """Whether others than the tail need what the tail's program computes, or it has a tail."""
    made = {v for s in group for v in s.outputs}
    inside = [*group, tail]
    others = {v for s in steps if s not in inside for v in s.inputs} | set(outputs)
    return bool(made & others) or any(s.labels is not None for s in group)


def _borders(
    group: Sequence[ProgramStep], steps: Sequence[Any], outputs: Sequence[Value]
) -> tuple[list[Value], list[Value]]:
    made = [v for s in group for v in s.outputs]
    given = list(dict.fromkeys(v for s in group for v in s.inputs if v not in made))
    others = {v for s in steps if s not in group for v in s.inputs} | set(outputs)
    return given, [v for v in made if v in others]


def _model(step: ModelStep) -> Any:
    spec = model_types.Model(specificationVersion=_CLASSICAL_VERSION)
    for value in step.inputs:
        describe(spec.description.input.add(), value, step.takes_missing and value.optional)
    for value in step.outputs:
        describe(spec.description.output.add(), value)
    step.fill(spec)
    return spec


def describe(feature: Any, value: Value, optional: bool = False) -> None:
    """Write a value's name and type."""
    feature.name = value.name
    if value.kind == ARRAY:
        feature.type.multiArrayType.shape.append(value.width)
        feature.type.multiArrayType.dataType = _DTYPES[value.dtype]
    elif value.kind == SCORES:
        key = "stringKeyType" if isinstance(value.labels[0], str) else "int64KeyType"
        getattr(feature.type.dictionaryType, key).SetInParent()
    else:
        kind = {DOUBLE: "doubleType", INT64: "int64Type", TEXT: "stringType"}[value.kind]
        getattr(feature.type, kind).SetInParent()
    feature.type.isOptional = optional


def _pipeline(graph: Graph, specs: Sequence[Any], result: Result) -> Any:
    spec = model_types.Model(specificationVersion=_CLASSICAL_VERSION)
    used = {f.name for m in specs for f in m.description.input}
    for value in graph.inputs:
        if value.name in used:
            describe(spec.description.input.add(), value, value.optional)
    for value in result.outputs:
        describe(spec.description.output.add(), value)
    label = result.predicted is not None and result.predicted.kind != DOUBLE
    regressor = (
        result.predicted is not None and str(specs[-1].WhichOneof("Type"))[-9:] == "Regressor"
    )
    if label:
        pipeline = spec.pipelineClassifier.pipeline
    elif regressor:
        pipeline = spec.pipelineRegressor.pipeline
    else:
        pipeline = spec.pipeline
    if result.predicted is not None and (label or regressor):
        spec.description.predictedFeatureName = result.predicted.name
    if result.probabilities is not None:
        spec.description.predictedProbabilitiesName = result.probabilities.name
    for place, model in enumerate(specs):
        pipeline.models.add().CopyFrom(model)
        pipeline.names.append(f"{place}_{model.WhichOneof('Type')}")
    return spec


def _with_weights(model: Any, folder: Path, place: int) -> Any:
    """The program's specification; its file of weights gets a name that no other one has."""
    spec = model.get_spec()
    files = sorted(Path(model.weights_dir).iterdir()) if model.weights_dir else []
    for file in files:
        shutil.copyfile(file, folder / f"{place}-{file.name}")
    for value in _blobs(spec):
        name = value.fileName.rpartition("/")[2]
        value.fileName = f"@model_path/weights/{place}-{name}"
    return spec


def _blobs(spec: Any) -> Iterator[Any]:
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for operation in block.operations:
                for attribute in operation.attributes.values():
                    if attribute.WhichOneof("value") == "blobFileValue":
                        yield attribute.blobFileValue
