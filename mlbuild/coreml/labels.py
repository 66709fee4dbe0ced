"""The class labels of a classifier, which stand inside of its program.

Source: coremltools MIL op docs, iOS15 classify.
"""

from __future__ import annotations

from .mil.program import Constant, Function, Operation, Reference
from .mil.values import decode
from .mil.weights import WeightFiles


def class_labels(function: Function, weights: WeightFiles) -> tuple[str | int, ...]:
    """The labels in the order of the scores; none if the model is no classifier."""
    classify = _classify(function)
    if classify is None or "classes" not in classify.inputs:
        return ()
    binding = classify.inputs["classes"][0]
    constant = _constant(function, binding) if isinstance(binding, Reference) else binding
    if constant is None:
        return ()
    return tuple(_label(item) for item in decode(constant, weights, "class labels"))


def scores_value(function: Function) -> str | None:
    """The name of the value that holds a classifier's scores."""
    classify = _classify(function)
    if classify is None:
        return None
    binding = classify.inputs["probabilities"][0]
    return binding.name if isinstance(binding, Reference) else None


def _classify(function: Function) -> Operation | None:
    found = [o for o in function.body.operations if o.type == "classify"]
    return found[-1] if found else None


def _constant(function: Function, reference: Reference) -> Constant | None:
    for operation in function.body.operations:
        if operation.type == "const" and operation.outputs[0].name == reference.name:
            return operation.attributes.get("val")
    return None


def _label(item: object) -> str | int:
    if isinstance(item, str):
        return item
    return int(item.item()) if hasattr(item, "item") else int(str(item))
