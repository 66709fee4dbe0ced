"""A torch model as an updatable neural network."""

from __future__ import annotations

import json
import traceback
import warnings
from typing import Any

import coremltools as ct
import numpy as np
import torch
from torch import nn

from ..._shared.problem.problem import Problem
from ..._shared.torch_model.model_file import TorchModel
from .interface import as_classifier, shape_of_value
from .made import Made
from .steering import make_updatable
from .tail import rebuild, trainable, weights_of, with_softmax, without_softmax

_LOGITS, _SCORES, _VALUE = "logits", "probabilities", "value"
_DTYPES = {"float32": np.float32, "int32": np.int32}


class _Scaled(nn.Module):
    """Channels of different deviations: Core ML's image input knows one scale for all."""

    def __init__(self, net: nn.Module, factors: list[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("factors", torch.tensor(factors).view(1, -1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The network on normalised channels."""
        return self.net(x * self.factors)


def convert(model: TorchModel, params: Any, log: Any) -> Made:
    """The model as a specification that can be trained.

    Raises:
        Problem: its task or its end is not one that Core ML can train.
    """
    described = model.description
    if described.states or described.functions:
        raise Problem("a model that keeps values between calls cannot be trained on a device")
    classifier = described.is_classifier
    if not classifier and [o.gives for o in described.outputs] != ["value"]:
        gives = ", ".join(o.gives for o in described.outputs)
        raise Problem(f"the model gives {gives}: only classifiers and one value can be trained")
    loss = _loss(classifier, params.loss)
    end = _LOGITS if classifier else _VALUE
    spec = _converted(model, params, end, log)
    network = spec.neuralNetwork
    if classifier and described.output == "probabilities":
        without_softmax(network, end)
    rebuild(network, end)
    if classifier:
        with_softmax(network, _LOGITS, _SCORES)
        spec = as_classifier(spec, model.labels, _SCORES, params.label_output)
    else:
        shape_of_value(spec, _VALUE, [1, 1, 1, 1])
    holder = getattr(spec, spec.WhichOneof("Type"))
    layers = trainable(holder, params.train["layers"], end)
    judged = _SCORES if classifier else _VALUE
    make_updatable(spec, layers, (loss, judged, 1), params)
    return Made(
        spec=spec,
        learns="layers",
        truth=params.label_output if classifier else f"{_VALUE}_true",
        labels=tuple(model.labels) if classifier else (),
        output=judged,
        layers=tuple(layers),
        weights=weights_of(holder, layers),
        loss=loss,
        metadata=_metadata(model),
    )


def _loss(classifier: bool, asked: str) -> str:
    if asked == "auto":
        return "cross_entropy" if classifier else "mean_squared_error"
    if (asked == "cross_entropy") != classifier:
        # Squares of a classifier's scores have no gradient through Core ML's softmax.
        raise Problem(f"loss: {asked} is not for this model, which {_what(classifier)}")
    return asked


def _what(classifier: bool) -> str:
    return "is a classifier" if classifier else "gives a number"


def _converted(model: TorchModel, params: Any, end: str, log: Any) -> Any:
    net, inputs, examples = _inputs(model, params)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(net.eval(), tuple(examples))
            converted = ct.convert(
                traced,
                convert_to="neuralnetwork",
                inputs=inputs,
                outputs=[ct.TensorType(name=end)],
                minimum_deployment_target=getattr(ct.target, params.target),
            )
    except Exception as error:  # coremltools raises whatever its passes stumble over
        log(traceback.format_exc())
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise Problem(
            f"coremltools cannot make a neural network of this model: {text}",
            hint="updatable models are of iOS 14's kind, which has fewer operators; "
            "the whole traceback is in the stage's log",
        ) from error
    return converted.get_spec()


def _inputs(model: TorchModel, params: Any) -> tuple[nn.Module, list[Any], list[torch.Tensor]]:
    how = model.description.preprocessing
    if how is None:
        arrays = model.description.inputs
        kinds = [ct.TensorType(i.name, i.shape, dtype=_DTYPES[i.dtype]) for i in arrays]
        return (
            model.net,
            kinds,
            [torch.zeros(i.shape, dtype=getattr(torch, i.dtype)) for i in arrays],
        )
    example = torch.zeros(how.shape)
    if not params.image:
        return model.net, [ct.TensorType(params.input_name, how.shape)], [example]
    scale = 1 / how.std[0]
    # With deviations of their own: (x - m) / s = (x / s0 - m / s0) * (s0 / s).
    net = model.net
    if len(set(how.std)) > 1:
        net = _Scaled(net, [how.std[0] / s for s in how.std])
    bias = [-m * scale for m in how.mean]
    layout = getattr(ct.colorlayout, {"GRAY": "GRAYSCALE"}.get(how.colour, how.colour))
    bias_given = bias[0] if how.colour == "GRAY" else bias
    kind = ct.ImageType(
        params.input_name, how.shape, scale=scale, bias=bias_given, color_layout=layout
    )
    return net, [kind], [example]


def _metadata(model: TorchModel) -> dict[str, str]:
    how = model.description.preprocessing
    if how is None:
        return {}
    return {"mlbuild.preprocessing": json.dumps(how.to_json(), sort_keys=True)}
