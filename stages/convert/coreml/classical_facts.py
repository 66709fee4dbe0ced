"""Facts on a converted model of tables, read back from its specification."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..._shared.classical.outputs import End

_PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


def facts_of(spec: Any, end: End, target: str) -> dict[str, Any]:
    """Inputs, outputs, and which models and operators it is made of."""
    models = list(_models(spec))
    operators: Counter[str] = Counter()
    for model in models:
        operators.update(_operators(model))
    classical = sum(model.WhichOneof("Type") != "mlProgram" for model in models)
    return {
        "target": target,
        "specification_version": spec.specificationVersion,
        "type": spec.WhichOneof("Type"),
        "models": [model.WhichOneof("Type") for model in models],
        "inputs": [_feature(f) for f in spec.description.input],
        "outputs": [_feature(f) for f in spec.description.output],
        "labels": list(end.labels),
        "operators": dict(sorted(operators.items())),
        "operators_in_all": sum(operators.values()) + classical,
    }


def _models(spec: Any) -> Any:
    kind = spec.WhichOneof("Type")
    if kind not in _PIPELINES:
        yield spec
        return
    inner = spec.pipeline if kind == "pipeline" else getattr(spec, kind).pipeline
    for model in inner.models:
        yield from _models(model)


def _operators(spec: Any) -> list[str]:
    return [
        op.type
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for op in block.operations
        if op.type != "const"
    ]


def _feature(feature: Any) -> dict[str, Any]:
    kind = feature.type.WhichOneof("Type")
    facts: dict[str, Any] = {"name": feature.name, "type": kind.removesuffix("Type")}
    if kind == "multiArrayType":
        array = feature.type.multiArrayType
        names = array.DESCRIPTOR.enum_types_by_name["ArrayDataType"].values_by_number
        facts.update(shape=list(array.shape), dtype=names[array.dataType].name)
    if feature.type.isOptional:
        facts["optional"] = True
    return facts
