"""Two-dimensional convolution and deconvolution.

Source: Core ML specification, NeuralNetwork.proto, ConvolutionLayerParams, ValidPadding and
SamePadding.
"""

from __future__ import annotations

from typing import Any

import torch

from ..checks import arity
from ..layer import Given, Run, layer
from ..windows import Pairs, add_border, borders, halves, pair, same_padding


@layer("convolution")
def convolution(given: Given) -> Run:
    """Convolve the last three dimensions, [C, H, W]; all before them are a batch.

    A second input, [C_out, C_in / groups, H, W] in its last dimensions, takes the place of the
    stored weights.
    """
    arity(given, 1, 2)
    params = given.params
    outputs, kernels = int(params.outputChannels), int(params.kernelChannels)
    groups = int(params.nGroups) or 1
    size = pair(params.kernelSize, 3)
    transposed = params.isDeconvolution
    shape = (kernels, outputs // groups, *size) if transposed else (outputs, kernels, *size)
    weights = None
    if len(given.message.input) < 2:
        weights = given.weight("weights", shape, channels=1 if transposed else 0)
    bias = given.weight("bias", (outputs,)) if params.hasBias else None
    compute = _deconvolve if transposed else _convolve

    def run(x: torch.Tensor, dynamic: torch.Tensor | None = None) -> torch.Tensor:
        kernel = weights if dynamic is None else dynamic.reshape(shape)
        if x.dim() < 3:
            raise ValueError(f"a blob of at least three dimensions is needed, not {x.dim()}")
        images = x.reshape(-1, *x.shape[-3:])
        made = compute(images, kernel, bias, params, groups)
        return made.reshape(*x.shape[:-3], *made.shape[-3:])

    return run


def _convolve(
    x: torch.Tensor, weights: Any, bias: torch.Tensor | None, params: Any, groups: int
) -> torch.Tensor:
    strides, dilations = pair(params.stride, 1), pair(params.dilationFactor, 1)
    if params.WhichOneof("ConvolutionPaddingType") == "same":
        reach = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
        pairs = same_padding(x.shape[2:], reach, strides, _top_heavy(params))
    else:
        pairs = borders(params.valid.paddingAmounts)
    if all(before == after for before, after in pairs):
        before = [before for before, _ in pairs]
        return torch.conv2d(x, weights, bias, strides, before, dilations, groups)
    return torch.conv2d(add_border(x, pairs), weights, bias, strides, 0, dilations, groups)


def _deconvolve(
    x: torch.Tensor, weights: Any, bias: torch.Tensor | None, params: Any, groups: int
) -> torch.Tensor:
    """Make the whole result, then cut it; what is wanted beyond it is the bias alone."""
    strides = pair(params.stride, 1)
    full = torch.conv_transpose2d(x, weights, None, strides, 0, 0, groups, _dilations(params))
    made = add_border(full, [(-before, -after) for before, after in _cuts(x, full, params)])
    return made if bias is None else made + bias.reshape(-1, 1, 1)


def _dilations(params: Any) -> list[int]:
    """The specification calls them ignored; the converter writes them, and counts on them."""
    return pair(params.dilationFactor, 1)


def _cuts(x: torch.Tensor, full: torch.Tensor, params: Any) -> Pairs:
    sizes = [int(n) for n in full.shape[2:]]
    same = params.WhichOneof("ConvolutionPaddingType") == "same"
    if params.outputShape or same:
        strides = pair(params.stride, 1)
        wanted = [int(n) for n in params.outputShape] or [
            int(n) * s for n, s in zip(x.shape[2:], strides, strict=True)
        ]
        given = None if same else borders(params.valid.paddingAmounts)
        surplus = [have - want for have, want in zip(sizes, wanted, strict=True)]
        if given is not None:  # an output shape beside padding: what is left is cut behind
            return [(before, s - before) for (before, _), s in zip(given, surplus, strict=True)]
        return [halves(s, _top_heavy(params)) if s > 0 else (0, s) for s in surplus]
    return borders(params.valid.paddingAmounts)


def _top_heavy(params: Any) -> bool:
    return bool(params.same.asymmetryMode == 1)
