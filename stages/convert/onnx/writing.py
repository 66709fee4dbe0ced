"""From a program to an ONNX graph that says nothing but what the network is."""

from __future__ import annotations

import logging
import re
import traceback
import warnings
from typing import Any

import onnx
import torch

from ..._shared.description.description import KEY, to_text
from ..._shared.problem.problem import Problem
from ..._shared.torch_program.exporting import exported, refused
from ..._shared.torch_program.program import Program

_LIMIT = 2**31 - 1  # of a protobuf message
_MISSING = re.compile(r"No (?:ONNX )?(?:function|decompositions?) [^:<]*<OpOverload\(op='([^']+)'")
_TARGET = re.compile(r"target=torch\.ops\.([\w.]+)")


def to_onnx(program: Program, opset: int, free: dict[str, dict[int, str]], log: Any) -> Any:
    """The graph as a ModelProto, checked.

    Args:
        program: the network.
        opset: version of the operators.
        free: axes without a fixed size, by input.
        log: takes a line of text.

    Raises:
        Problem: an operator has no counterpart, or the graph is not sound.
    """
    source = exported(program, log, free)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            written = torch.onnx.export(
                source,
                input_names=[given.name for given in program.inputs],
                output_names=[name for name, _ in program.outputs],
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter wraps whatever it stumbles over
        log(traceback.format_exc())
        raise _unsupported(error) from error
    model = written.model_proto
    _name_axes(model, program, free)
    _strip(model)
    model.metadata_props.add(key=KEY, value=to_text(program.describe(free)))
    _check(model)
    return model


def _unsupported(error: BaseException) -> Problem:
    text, seen = "", error
    while seen is not None:
        text += f"{seen}\n"
        seen = seen.__cause__
    found = _MISSING.search(text) or (_TARGET.search(text) if "ispatch" in text else None)
    if found is None:
        return refused("torch.onnx cannot write this network", error)
    return Problem(
        f"ONNX has no counterpart for the operator {found[1].replace('::', '.')}",
        hint="rewrite it with others; the place in the network is in the stage's log",
    )


def _name_axes(model: Any, program: Program, free: dict[str, dict[int, str]]) -> None:
    """Free axes by the names that were given, not by torch.export's symbols."""
    renamed: dict[str, str] = {}
    for value in model.graph.input:
        for axis, name in free.get(value.name, {}).items():
            symbol = value.type.tensor_type.shape.dim[axis].dim_param
            if not symbol:
                size = value.type.tensor_type.shape.dim[axis].dim_value
                raise Problem(
                    f"dynamic: axis {axis} of {value.name} is always {size} in this network"
                )
            renamed[symbol] = name
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    for size in (d for v in values for d in v.type.tensor_type.shape.dim if d.dim_param):
        words = re.split(r"(\w+)", size.dim_param)
        size.dim_param = "".join(renamed.get(word, word) for word in words)


def _strip(model: Any) -> None:
    """Without the traces, paths and names of Python that the exporter leaves behind."""
    graphs = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        del graph.metadata_props[:]
        graph.doc_string = ""
        named = (*graph.node, *graph.value_info, *getattr(graph, "initializer", ()))
        for part in (*named, *_values(graph)):
            del part.metadata_props[:]
            part.doc_string = ""
        graphs += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    del model.metadata_props[:]
    # "2.13.0+cpu": the build behind the plus is the machine's, not the model's.
    model.producer_version = model.producer_version.partition("+")[0]


def _values(graph: Any) -> tuple[Any, ...]:
    # Of a function they are plain names.
    if isinstance(graph, onnx.FunctionProto):
        return ()
    return (*graph.input, *graph.output)


def _check(model: Any) -> None:
    if model.ByteSize() > _LIMIT:
        raise Problem("the model has more than 2 GB, which one ONNX file cannot hold")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        first = str(error).strip().splitlines()[0]
        raise Problem(f"ONNX's checker refuses the graph: {first}") from error
