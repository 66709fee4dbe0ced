"""Frozen TensorFlow graphs: reading them, finding where they begin and end, what they give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..problem.problem import Problem

_SILENT = ("Const", "NoOp", "Assert", "Placeholder", "PlaceholderWithDefault")
_SAME = ("Identity", "Reshape", "Squeeze", "IdentityN", "Cast", "StopGradient")
_LINEAR = ("BiasAdd", "MatMul", "BatchMatMulV2", "Add", "AddV2", "Conv2D")


def parsed(tf: Any, path: Path) -> Any:
    """The graph of a .pb file.

    Raises:
        Problem: it is no graph, or one whose weights are variables.
    """
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no stable home
        raise Problem(f"{path.name} is no TensorFlow graph: {error}") from error
    if not graph_def.node:
        hint = "of a SavedModel give its folder, not its saved_model.pb"
        raise Problem(f"{path.name} is no TensorFlow graph: it has no nodes", hint=hint)
    kept = [n.name for n in graph_def.node if n.op in ("Variable", "VariableV2", "VarHandleOp")]
    if kept:
        raise Problem(
            f"{path.name} is not frozen: {kept[0]} is a variable, whose value is not in the graph",
            hint="freeze it where it was trained, with convert_variables_to_constants",
        )
    return graph_def


def inputs_of(graph: Any, names: Sequence[str]) -> list[Any]:
    """The tensors that are given: those named, else all placeholders.

    Raises:
        Problem: there is none of that name, or no placeholder.
    """
    if names:
        return [_tensor(graph, name) for name in names]
    found = [op.outputs[0] for op in graph.get_operations() if op.type == "Placeholder"]
    if not found:
        raise Problem("the graph has no placeholder", hint="name its inputs by `tensor`")
    return found


def outputs_of(graph: Any, names: Sequence[str]) -> list[Any]:
    """The tensors that are returned: those named, else all that nothing else uses.

    Raises:
        Problem: there is none of that name.
    """
    if names:
        return [_tensor(graph, name) for name in names]
    found = [
        output
        for op in graph.get_operations()
        if op.type not in _SILENT
        for output in op.outputs
        if not output.consumers()
    ]
    if not found:
        raise Problem("the graph returns nothing", hint="name its outputs: output_tensors: [...]")
    return found


def gives_of(graph: Any, tensor: Any) -> str | None:
    """Whether a tensor is a softmax or the sums before one; None where neither is seen."""
    op = tensor.op
    while op.type in _SAME and op.inputs:
        op = op.inputs[0].op
    if op.type == "Softmax":
        return "probabilities"
    return "logits" if op.type in _LINEAR else None


def _tensor(graph: Any, name: str) -> Any:
    try:
        return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        known = [op.name for op in graph.get_operations() if op.outputs and op.type != "Const"]
        near = [n for n in known if n.rpartition("/")[2] == name.rpartition("/")[2]] or known[-3:]
        raise Problem(
            f"the graph has no tensor '{name}'", hint=f"it has {', '.join(near[:3])}"
        ) from error
