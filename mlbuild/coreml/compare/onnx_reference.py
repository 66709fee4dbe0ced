"""An ONNX graph as reference: every value that depends on an input, node by node.

onnxruntime computes it without its optimizations, so that no value is lost in a fused one; onnx's
own evaluator does where onnxruntime has no kernel, or is not there.

Source: ONNX specification, IR.md (graphs, nodes, names of values); onnx.reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError, ModelFileError, UnsupportedError
from .preparing import fed
from .recording import Recorded, Recording, Sample, real

Feeds = Callable[[Sample], Mapping[str, Any]]

_LARGEST = 2**31 - 1  # bytes of a protocol buffer; larger models keep their weights beside them


class OnnxReference:
    """Records what an ONNX graph computes.

    Args:
        path: The ``.onnx`` file.
        prepare: From a sample (by the candidate's input names) to arrays by the graph's input
            names; by default inputs of the same names, else in their order, pictures as floats
            from 0 to 255 in the layout that the graph takes.
        labels: A classifier's labels in the order of its outputs.
    """

    def __init__(
        self, path: str | Path, prepare: Feeds | None = None, labels: Iterable[str] = ()
    ) -> None:
        self._onnx = _module()
        self._model = _read(self._onnx, Path(path))
        self._graph = self._model.graph
        stored = {tensor.name for tensor in self._graph.initializer}
        self._inputs = [given for given in self._graph.input if given.name not in stored]
        self._nodes = self._depending()
        self._prepare, self._labels = prepare or self._fed, tuple(map(str, labels))
        self._run = _runner(self._onnx, self._model, [n for n, _, _ in self._made()])
        self._computed: dict[str, torch.Tensor] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """As given."""
        return self._labels

    def record(self, sample: Sample) -> Recording:
        """One run of the graph."""
        feeds = dict(self._prepare(sample))
        values = {**feeds, **self._run(feeds)}
        found: list[Recorded] = []
        places: dict[str, int] = {}
        for given in self._inputs:
            places[given.name] = len(found)
            found.append(Recorded(given.name, "input", "", _tensor(values[given.name])))
        for name, node, depends in self._made():
            value = values.get(name)
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
                continue  # sequences and strings are no tensors
            if not depends:
                self._computed[name] = _tensor(value)
                continue
            sources = tuple(sorted({places[n] for n in node.input if n in places}))
            places[name] = len(found)
            found.append(Recorded(name, node.op_type, node.name or name, _tensor(value), sources))
        outputs = tuple((o.name, places[o.name]) for o in self._graph.output if o.name in places)
        return Recording(tuple(found), outputs)

    def weights(self) -> dict[str, torch.Tensor]:
        """Initializers, and what the last run computed from them alone."""
        stored = {
            tensor.name: _tensor(self._onnx.numpy_helper.to_array(tensor))
            for tensor in self._graph.initializer
            if tensor.data_type != self._onnx.TensorProto.STRING
        }
        return {**stored, **self._computed}

    def _made(self) -> list[tuple[str, Any, bool]]:
        """Each value that a node makes: its name, the node, whether it depends on an input."""
        return [(n, node, depends) for node, depends in self._nodes for n in node.output if n]

    def _depending(self) -> list[tuple[Any, bool]]:
        known = {given.name for given in self._inputs}
        nodes = []
        for node in self._graph.node:
            random = node.op_type.startswith("Random") or node.op_type == "Multinomial"
            depends = random or bool(known & _taken(node))
            if depends:
                known.update(node.output)
            nodes.append((node, depends))
        return nodes

    def _fed(self, sample: Sample) -> dict[str, Any]:
        given = {}
        for declared in self._inputs:
            tensor = declared.type.tensor_type
            dtype = self._onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            shape = [d.dim_value or None for d in tensor.shape.dim]
            given[declared.name] = (dtype, shape if tensor.HasField("shape") else None)
        return fed(sample, given)


def _module() -> Any:
    try:
        import onnx  # other references do without
        import onnx.reference
    except ImportError as error:
        raise UnsupportedError(
            "an ONNX file needs onnx to be read", hint="pip install onnx onnxruntime"
        ) from error
    return onnx


def _read(onnx: Any, path: Path) -> Any:
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, onnx's and the system's have nothing in common
        text = str(error).split("\n")[0]
        raise ModelFileError("no ONNX model", place=str(path), got=text) from error
    return model


def _runner(onnx: Any, model: Any, names: list[str]) -> Callable[[Mapping[str, Any]], Any]:
    """What computes every value of the graph by its name."""
    try:
        import onnxruntime  # faster; its absence costs nothing else
    except ImportError:
        return _evaluator(onnx, model)
    shown = {output.name for output in model.graph.output}
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in shown)
    if whole.ByteSize() > _LARGEST:
        return _evaluator(onnx, model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            whole.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # an operator or a type that it does not have
        return _evaluator(onnx, model)
    wanted = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(wanted, _told(session.run, wanted, dict(feeds)), strict=True))


def _evaluator(onnx: Any, model: Any) -> Callable[[Mapping[str, Any]], Any]:
    evaluator = onnx.reference.ReferenceEvaluator(model)
    return lambda feeds: _told(evaluator.run, None, dict(feeds), intermediate=True)


def _told(run: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return run(*arguments, **options)
    except Exception as error:  # each of the two has errors of its own
        text = str(error).split("\n")[0]
        raise InputError("the ONNX model does not run on a sample", got=text) from error


def _taken(node: Any) -> set[str]:
    """What a node takes, subgraphs included."""
    found = set(node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
            for inner in graph.node:
                found |= _taken(inner)
            found |= {output.name for output in graph.output}
    return found


def _tensor(value: Any) -> torch.Tensor:
    array = np.asarray(value)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if array.dtype.name in ("bfloat16",) or array.dtype.name.startswith(("float8", "float4")):
        array = array.astype(np.float32)
    if array.dtype.name in ("int4", "uint4", "int2", "uint2"):
        array = array.astype(np.int8)
    return real(torch.from_numpy(np.array(array)))
