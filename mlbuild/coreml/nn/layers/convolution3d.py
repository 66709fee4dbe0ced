"""Three-dimensional convolution and deconvolution.

Source: Core ML specification, NeuralNetwork.proto, Convolution3DLayerParams. Weights of a
deconvolution lie as coremltools' builder writes them, [C_in, C_out / groups, D, H, W], as in two
dimensions; the specification's comment has the first two the other way round.
"""

from __future__ import annotations

from typing import Any

import torch

from ..checks import arity
from ..layer import Given, Run, layer
from ..windows import Pairs, add_border, halves, same_padding

_VALID, _SAME = 1, 2


@layer("convolution3d")
def convolution3d(given: Given) -> Run:
    """Convolve [batch, channels, depth, height, width]."""
    arity(given, 1)
    params = given.params
    outputs, inputs, groups = params.outputChannels, params.inputChannels, params.nGroups or 1
    size = triple(params, "kernel")
    transposed = params.isDeconvolution
    shape = (inputs, outputs // groups, *size) if transposed else (outputs, inputs // groups, *size)
    weights = given.weight("weights", shape, channels=1 if transposed else 0)
    bias = given.weight("bias", (outputs,)) if params.hasBias else None
    compute = _deconvolve if transposed else _convolve
    return lambda x: compute(x, weights, bias, params, groups)


def triple(params: Any, prefix: str) -> list[int]:
    """A field for depth, height and width each; 1 where it is left out."""
    return [getattr(params, f"{prefix}{axis}") or 1 for axis in ("Depth", "Height", "Width")]


def custom_padding(params: Any) -> Pairs:
    """Front and back, top and bottom, left and right."""
    sides = [("Front", "Back"), ("Top", "Bottom"), ("Left", "Right")]
    return [
        (getattr(params, f"customPadding{a}"), getattr(params, f"customPadding{b}"))
        for a, b in sides
    ]


def _convolve(x: torch.Tensor, weights: Any, bias: Any, params: Any, groups: int) -> torch.Tensor:
    strides, dilations = triple(params, "stride"), triple(params, "dilation")
    pairs = [(0, 0)] * 3
    if params.paddingType == _SAME:
        reach = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
        pairs = same_padding(x.shape[2:], reach, strides)
    elif params.paddingType != _VALID:
        pairs = custom_padding(params)
    return torch.conv3d(add_border(x, pairs), weights, bias, strides, 0, dilations, groups)


def _deconvolve(x: torch.Tensor, weights: Any, bias: Any, params: Any, groups: int) -> torch.Tensor:
    strides, dilations = triple(params, "stride"), triple(params, "dilation")
    full = torch.conv_transpose3d(x, weights, None, strides, 0, 0, groups, dilations)
    pairs = custom_padding(params) if params.paddingType not in (_VALID, _SAME) else [(0, 0)] * 3
    if params.outputShape or params.paddingType == _SAME:
        wanted = [int(n) for n in params.outputShape] or [
            int(n) * s for n, s in zip(x.shape[2:], strides, strict=True)
        ]
        surplus = [int(have) - want for have, want in zip(full.shape[2:], wanted, strict=True)]
        if params.paddingType == _SAME:
            pairs = [halves(s, False) if s > 0 else (0, s) for s in surplus]
        else:
            pairs = [(before, s - before) for (before, _), s in zip(pairs, surplus, strict=True)]
    made = add_border(full, [(-before, -after) for before, after in pairs])
    return made if bias is None else made + bias.reshape(-1, 1, 1, 1)
