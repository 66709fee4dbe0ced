"""What Core ML plans to run where, by coremltools' ``MLComputePlan``.

Source: coremltools 9.0, models/compute_plan.py; Apple, MLComputePlan (macOS 14.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PLACES = ("cpu", "gpu", "neural_engine")
_OF_CLASS = {
    "MLCPUComputeDevice": "cpu",
    "MLGPUComputeDevice": "gpu",
    "MLNeuralEngineComputeDevice": "neural_engine",
}


def rows(plan: Any) -> list[dict[str, Any]]:
    """Every operation or layer that Core ML places: name, type, place, share of the cost.

    A layer of a neural network has no estimated cost: None.
    """
    structure = plan.model_structure
    if structure.program is not None:
        return list(_operations(plan, structure.program))
    if structure.neuralnetwork is not None:
        return list(_layers(plan, structure.neuralnetwork))
    return []


def shares(found: list[dict[str, Any]]) -> dict[str, float]:
    """Share of the estimated cost by place; of layers, which have none, of their number."""
    weights = [row["cost"] for row in found]
    if any(weight is None for weight in weights) or not sum(weights):
        weights = [1.0] * len(found)
    total = sum(weights) or 1.0
    return {
        place: sum(w for w, row in zip(weights, found, strict=True) if row["place"] == place)
        / total
        for place in PLACES
    }


def _operations(plan: Any, program: Any) -> Iterator[dict[str, Any]]:
    for name, function in sorted(program.functions.items()):
        for operation in _all(function.block):
            usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
            if usage is None:  # constants are placed nowhere
                continue
            cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
            outputs = ", ".join(output.name for output in operation.outputs)
            yield {
                "function": name,
                "name": outputs,
                "type": operation.operator_name,
                **_place(usage),
                "cost": 0.0 if cost is None else float(cost.weight),
            }


def _all(block: Any) -> Iterator[Any]:
    """The operations of a block, and of the blocks inside of them."""
    for operation in block.operations:
        yield operation
        for inner in operation.blocks:
            yield from _all(inner)


def _layers(plan: Any, network: Any) -> Iterator[dict[str, Any]]:
    for layer in network.layers:
        usage = plan.get_compute_device_usage_for_neuralnetwork_layer(layer)
        if usage is not None:
            yield {"name": layer.name, "type": layer.type, **_place(usage), "cost": None}


def _place(usage: Any) -> dict[str, Any]:
    supported = {_named(device) for device in usage.supported_compute_devices}
    return {
        "place": _named(usage.preferred_compute_device),
        "supported": [place for place in PLACES if place in supported],
    }


def _named(device: Any) -> str:
    return _OF_CLASS.get(type(device).__name__, type(device).__name__)
