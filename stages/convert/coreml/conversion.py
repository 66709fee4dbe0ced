"""From a source to an MLModel."""

from __future__ import annotations

import fnmatch
import traceback
import warnings
from typing import Any

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil.mil.scope import ScopeSource
from torch import nn

from ..._shared.problem.problem import Problem
from .formats import options, settled
from .sources import Feature, Source

_DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32}
_TORCH_DTYPES = {"float32": torch.float32, "float16": torch.float32, "int32": torch.int32}


class _Dressed(nn.Module):
    """A network with a factor a channel in front and a softmax behind."""

    def __init__(self, net: Any, factors: list[Any], softmax: bool) -> None:
        super().__init__()
        self.net = net
        self.softmax = softmax
        for index, factor in enumerate(factors):
            value = torch.tensor(factor).view(1, -1, 1, 1) if factor else None
            self.register_buffer(f"factor_{index}", value)

    def forward(self, *inputs: torch.Tensor) -> Any:
        factors = (getattr(self, f"factor_{index}") for index in range(len(inputs)))
        pairs = zip(inputs, factors, strict=True)
        out = self.net(*(x if factor is None else x * factor for x, factor in pairs))
        return torch.softmax(out, dim=-1) if self.softmax else out


def convert(source: Source, params: Any, returns: str, log: Any) -> Any:
    """Run coremltools.

    Args:
        source: the network.
        params: of the kind.
        returns: "classifier", "probabilities", "logits", or "outputs" for those that it names.
        log: takes a line of text.

    Returns:
        The MLModel, not yet named and described.

    Raises:
        Problem: the network or one of its operators is not supported.
    """
    softmax = wants_softmax(source, params, returns)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations, and of names that it changes
            converted = ct.convert(
                _program(source, softmax, log),
                inputs=None if _self_described(source) else [type_of(f) for f in source.features],
                outputs=_outputs(source, params, returns),
                states=_states(source) or None,
                classifier_config=classifier_of(source, params, returns),
                skip_model_load=True,
                **options(params, precision_of(source, params)),
            )
            return settled(converted, params)
    except Problem:
        raise
    except Exception as error:  # coremltools raises whatever its passes stumble over
        log(traceback.format_exc())
        raise refused(error) from error


def wants_softmax(source: Source, params: Any, returns: str) -> bool:
    """Whether a softmax is put behind the network."""
    if source.outputs and params.softmax == "add":
        raise Problem(f"softmax: add, but the model is no classifier: {source.task}")
    if params.softmax == "auto":
        return returns != "logits" and source.gives == "logits"
    if params.softmax == "add" and source.gives == "probabilities":
        raise Problem("softmax: add, but the model gives probabilities already")
    return params.softmax == "add"


def _program(source: Source, softmax: bool, log: Any) -> Any:
    factors = [f.pixels.multiply if f.pixels else None for f in source.features]
    dressed = softmax or any(factors)
    if source.form == "exported":
        exported = source.program
        if dressed:
            examples = exported.example_inputs[0]
            net = _Dressed(exported.module(), factors, softmax)
            exported = torch.export.export(net, tuple(examples))
        return _decomposed(exported)
    if source.form == "script" and not dressed:
        return source.program
    if source.form == "script":
        log("the TorchScript is traced once more, for what is put before or behind it")
    net = _Dressed(source.program, factors, softmax) if dressed else source.program
    examples = tuple(_example(f) for f in source.features)
    with torch.no_grad():
        # What a network keeps between calls would make the second run of a check another one.
        return torch.jit.trace(net.eval(), examples, check_trace=not source.states)


def _decomposed(exported: Any) -> Any:
    # The small table keeps operators whole that Core ML has; recurrent nets need the full one.
    small = exported.run_decompositions({})
    names = {str(node.target) for node in small.graph.nodes if node.op == "call_function"}
    recurrent = any(
        word in name for name in names for word in ("aten.lstm", "aten.gru", "aten.rnn")
    )
    return exported.run_decompositions() if recurrent else small


def _self_described(source: Source) -> bool:
    """An exported program brings shapes; types are needed only for images and given shapes."""
    return source.form == "exported" and not any(
        f.pixels or f.shape or f.shapes for f in source.features
    )


def type_of(feature: Feature) -> Any:
    """What coremltools calls the type of an input."""
    # A fresh object for each call: ct.convert writes into those that it is given.
    shape = _shape(feature)
    if feature.pixels is None:
        return ct.TensorType(feature.name, shape, dtype=_DTYPES[feature.dtype])
    pixels = feature.pixels
    layout = {"GRAY": "GRAYSCALE"}.get(pixels.colour, pixels.colour)
    bias = pixels.bias[0] if pixels.colour == "GRAY" else list(pixels.bias)
    colour = getattr(ct.colorlayout, layout)
    return ct.ImageType(feature.name, shape, scale=pixels.scale, bias=bias, color_layout=colour)


def _shape(feature: Feature) -> Any:
    if feature.shapes:
        return ct.EnumeratedShapes([list(s) for s in feature.shapes], default=feature.shapes[0])
    if feature.shape is None:
        raise Problem(f"input '{feature.name}' needs a shape")
    sizes = feature.shape
    return ct.Shape(
        [s if isinstance(s, int) else ct.RangeDim(s[0], s[-1], default=s[0]) for s in sizes]
    )


def _example(feature: Feature) -> torch.Tensor:
    if feature.shapes:
        return torch.zeros(feature.shapes[0], dtype=_TORCH_DTYPES[feature.dtype])
    if feature.shape is None:
        raise Problem(f"input '{feature.name}' needs a shape")
    sizes = [s if isinstance(s, int) else s[0] for s in feature.shape]
    return torch.zeros(sizes, dtype=_TORCH_DTYPES[feature.dtype])


def _outputs(source: Source, params: Any, returns: str) -> list[Any] | None:
    if returns == "classifier":
        return None  # the classifier names them
    if returns == "outputs":
        return [_output(o, source, params) for o in source.outputs]
    names = params.output_names or [params.score_output or returns]
    return [ct.TensorType(name=name) for name in names]


def _output(output: Any, source: Source, params: Any) -> Any:
    if output.gives == "image" and params.image:
        pixels = source.features[0].pixels
        layout = {"GRAY": "GRAYSCALE"}.get(pixels.colour, pixels.colour)
        return ct.ImageType(name=output.name, color_layout=getattr(ct.colorlayout, layout))
    # What suppression reads stays in float32: it is the last to tell boxes apart. So does a number
    # in units of its own, which may be beyond float16.
    whole = output.gives in ("boxes", "confidences") or bool(source.columns)
    return ct.TensorType(name=output.name, dtype=np.float32 if whole else None)


def classifier_of(source: Source, params: Any, returns: str) -> Any:
    """The labels, as coremltools takes them; None where no classifier is asked for."""
    if returns != "classifier":
        return None
    return ct.ClassifierConfig(list(source.labels), predicted_feature_name=params.label_output)


def _states(source: Source) -> list[Any]:
    # Core ML has states in float16 alone.
    return [
        ct.StateType(ct.TensorType(shape=state.shape, dtype=np.float16), name=state.name)
        for state in source.states
    ]


def precision_of(source: Source, params: Any) -> Any:
    """What is computed in float16, as coremltools takes it."""
    if params.precision == "float32":
        return ct.precision.FLOAT32
    kept, parts = params.float32_ops, set(source.facts.get("float32_modules", ()))
    if not kept and not parts:
        return ct.precision.FLOAT16

    def in_float16(op: Any) -> bool:
        # Parts of the network that its author named, such as what brings raw values to scale.
        scopes = op.scopes.get(ScopeSource.TORCHSCRIPT_MODULE_NAME, []) if parts else []
        if not parts.isdisjoint(scopes):
            return False
        return not any(op.op_type == k or fnmatch.fnmatchcase(op.name, k) for k in kept)

    return ct.transform.FP16ComputePrecision(op_selector=in_float16)


def refused(error: Exception) -> Problem:
    """What coremltools stumbled over, as a message for a user."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = " ".join(lines)[:500] or type(error).__name__
    hint = "the whole traceback is in the stage's log"
    if isinstance(error, NotImplementedError) or "not implemented" in text:
        hint = "rewrite that operator with others, or export the network another way; " + hint
    return Problem(f"coremltools cannot convert this network: {text}", hint=hint)
