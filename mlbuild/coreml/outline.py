"""What models that are no ML Programs consist of, in a few figures.

Source: Core ML specification: NeuralNetwork.proto, TreeEnsemble.proto, SVM.proto, GLM*.proto,
NearestNeighbors.proto, Model.proto (pipelines).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


def outline(spec: Any) -> dict[str, Any]:
    """The figures of a specification; empty for types that have none."""
    kind = spec.WhichOneof("Type")
    if kind in NETWORKS:
        return _network(getattr(spec, kind))
    if kind in _PIPELINES:
        whole = getattr(spec, kind)
        models = getattr(whole, "pipeline", whole).models
        return {"models": [{"type": m.WhichOneof("Type"), **outline(m)} for m in models]}
    if kind in ("treeEnsembleRegressor", "treeEnsembleClassifier"):
        nodes = getattr(spec, kind).treeEnsemble.nodes
        return {"trees": len({node.treeId for node in nodes}), "nodes": len(nodes)}
    if kind in ("supportVectorRegressor", "supportVectorClassifier"):
        return {"support_vectors": _vectors(getattr(spec, kind))}
    if kind in ("glmRegressor", "glmClassifier"):
        rows = getattr(spec, kind).weights
        return {"coefficients": sum(len(row.value) for row in rows), "rows": len(rows)}
    if kind == "kNearestNeighborsClassifier":
        index = spec.kNearestNeighborsClassifier.nearestNeighborsIndex
        return {"samples": len(index.floatSamples), "dimensions": index.numberOfDimensions}
    return {}


def network_weights(spec: Any) -> Iterator[tuple[Any, str, Any]]:
    """Each weight of a network, or of all networks of a pipeline: layer, path, WeightParams."""
    kind = spec.WhichOneof("Type")
    if kind in _PIPELINES:
        whole = getattr(spec, kind)
        for model in getattr(whole, "pipeline", whole).models:
            yield from network_weights(model)
    elif kind in NETWORKS:
        for layer in _layers(getattr(spec, kind)):
            yield from ((layer, path, weight) for path, weight in _weights(layer))


def _vectors(message: Any) -> int:
    kind = message.WhichOneof("supportVectors")
    return len(getattr(message, kind).vectors) if kind else 0


def _network(network: Any) -> dict[str, Any]:
    layers = list(_layers(network))
    found = [_weight(layer, *pair) for layer in layers for pair in _weights(layer)]
    return {
        "operators": dict(sorted(Counter(la.WhichOneof("layer") or "?" for la in layers).items())),
        "weights": found,
        "weight_bytes": sum(weight["bytes"] for weight in found),
        "parameters": sum(weight["elements"] for weight in found),
    }


def _layers(network: Any) -> Iterator[Any]:
    for layer in network.layers:
        yield layer
        kind = layer.WhichOneof("layer")
        if kind == "branch":
            yield from _layers(layer.branch.ifBranch)
            yield from _layers(layer.branch.elseBranch)
        elif kind == "loop":
            yield from _layers(layer.loop.conditionNetwork)
            yield from _layers(layer.loop.bodyNetwork)


def _weights(layer: Any) -> Iterator[tuple[str, Any]]:
    kind = layer.WhichOneof("layer")
    if kind is not None:
        yield from _weights_of(getattr(layer, kind), "")


def _weights_of(message: Any, path: str) -> Iterator[tuple[str, Any]]:
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE or not hasattr(value, "ListFields"):
            if field.type == field.TYPE_MESSAGE and field.message_type.name == "LSTMWeightParams":
                for number, item in enumerate(value):
                    yield from _weights_of(item, f"{path}{field.name}[{number}].")
            continue
        if field.message_type.name == "WeightParams":
            yield f"{path}{field.name}", value
        elif field.message_type.name not in ("NeuralNetwork",):
            yield from _weights_of(value, f"{path}{field.name}.")


def _weight(layer: Any, name: str, weight: Any) -> dict[str, Any]:
    quantized = weight.HasField("quantization")
    if quantized:
        bits, size = int(weight.quantization.numberOfBits) or 8, len(weight.rawValue)
        elements = size * 8 // bits
    elif weight.float16Value:
        bits, size, elements = 16, len(weight.float16Value), len(weight.float16Value) // 2
    elif weight.int8RawValue or weight.rawValue:
        size = len(weight.int8RawValue) or len(weight.rawValue)
        bits, elements = 8, size
    else:
        bits, size, elements = 32, 4 * len(weight.floatValue), len(weight.floatValue)
    which = weight.quantization.WhichOneof("QuantizationType") if quantized else None
    how = {"linearQuantization": ["linear"], "lookupTableQuantization": ["palette"]}
    return {
        "layer": layer.name,
        "operator": layer.WhichOneof("layer"),
        "input": name,
        "value": f"{layer.name}.{name}",
        "shape": [elements],
        "dtype": {32: "fp32", 16: "fp16"}.get(bits, f"uint{bits}"),
        "compression": how.get(which or "", []),
        "bits": bits,
        "elements": elements,
        "bytes": size,
        "sparsity": None,
    }
