"""ONNX files: read, and brought to where the converter begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..._shared.description.description import KEY, from_text
from ..._shared.problem.problem import Problem
from .slots import Front, Slot, front_of, source_of
from .sources import Feature, Source

_TYPES = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.DOUBLE: "float64",
    TensorProto.INT64: "int64",
    TensorProto.INT32: "int32",
    TensorProto.UINT8: "uint8",
    TensorProto.BOOL: "bool",
}
_BATCH_FIRST = (0, 2, 3, 1)  # [N, C, H, W] -> [N, H, W, C]


def read(job: Any) -> tuple[Source, list[Slot]]:
    """The job's model; ``program`` is its ModelProto.

    Raises:
        Problem: it is no sound ONNX file, or leaves open what must then be given.
    """
    path: Path = job.inputs["model"]
    model = _load(path)
    known = {i.name for i in model.graph.initializer}
    slots = [_slot(value) for value in model.graph.input if value.name not in known]
    if not slots:
        raise Problem(f"{path.name} takes nothing: there is nothing to convert")
    metadata = {p.key: p.value for p in model.metadata_props}
    told = from_text(metadata.get(KEY), path.name)
    outputs = {o.name: _seen(model, o.name) for o in model.graph.output}
    return source_of(model, "an ONNX file", slots, outputs, told, job.params), slots


def prepared(source: Source, slots: list[Slot], softmax: bool) -> Any:
    """The graph with fixed sizes, under the names of the features, all in it that is asked for."""
    model = onnx.ModelProto()
    model.CopyFrom(source.program)
    graph = model.graph
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    renamed = {}
    for slot, feature in zip(slots, source.features, strict=True):
        value = next(v for v in graph.input if v.name == slot.name)
        value.CopyFrom(
            helper.make_tensor_value_info(feature.name, value.type.tensor_type.elem_type,
                                          feature.shape)
        )  # fmt: skip
        front = front_of(slot, feature)
        renamed[slot.name] = _put_in_front(graph, feature, front) if front else feature.name
    _rename(graph, renamed)
    if softmax:
        _put_behind(graph)
    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        sizes = ", ".join(f"{f.name} {list(f.shape or ())}" for f in source.features)
        first = str(error).strip().splitlines()[0]
        raise Problem(f"the graph does not take {sizes}: {first}") from error


def _put_in_front(graph: Any, feature: Feature, front: Front) -> str:
    """The name of the value that the program's own nodes read in the input's place."""
    nodes, name = [], feature.name
    if front.factors:
        factors = np.float32(front.factors).reshape(1, -1, 1, 1)
        graph.initializer.append(numpy_helper.from_array(factors, f"{feature.name}_factors"))
        nodes.append(helper.make_node("Mul", [name, f"{feature.name}_factors"], [f"{name}_scaled"]))
        name = f"{name}_scaled"
    if front.last:
        turned = f"{feature.name}_turned"
        nodes.append(helper.make_node("Transpose", [name], [turned], perm=_BATCH_FIRST))
        name = turned
    for node in reversed(nodes):
        graph.node.insert(0, node)
    return name


def _rename(graph: Any, renamed: dict[str, str]) -> None:
    ours = set(renamed.values())
    for node in graph.node:
        if not ours.isdisjoint(node.output):
            continue  # it stands in front
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, renamed)


def _put_behind(graph: Any) -> None:
    (output,) = graph.output
    name = f"{output.name}_softmax"
    graph.node.append(helper.make_node("Softmax", [output.name], [name], axis=-1))
    output.name = name


def _load(path: Path) -> Any:
    if path.is_dir():
        raise Problem(f"{path.name} is a folder, an ONNX model is one file")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError has no stable home
        raise Problem(f"{path.name} is no ONNX file: {error}") from error
    outside = [i.name for i in model.graph.initializer if i.data_location == TensorProto.EXTERNAL]
    if outside:
        raise Problem(
            f"{path.name} keeps {len(outside)} weights in files beside it, such as {outside[0]}",
            hint="save it as one file: onnx.save(onnx.load(path), path)",
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        first = str(error).strip().splitlines()[0]
        raise Problem(f"{path.name} is no ONNX file that ONNX's checker takes: {first}") from error
    return model


def _slot(value: Any) -> Slot:
    tensor = value.type.tensor_type
    if tensor.elem_type not in _TYPES:
        raise Problem(f"input '{value.name}' is no tensor of numbers, which is all Core ML takes")
    shape = tuple(d.dim_value or None for d in tensor.shape.dim)
    return Slot(value.name, shape, _TYPES[tensor.elem_type])


def _seen(model: Any, name: str) -> str | None:
    """What an output gives, where the node that makes it tells."""
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    return "probabilities" if makers.get(name) == "Softmax" else None
