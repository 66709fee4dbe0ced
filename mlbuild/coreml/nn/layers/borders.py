"""Padding and cropping of height and width.

Source: Core ML specification, NeuralNetwork.proto, PaddingLayerParams, CropLayerParams and
BorderAmounts.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer
from ..windows import add_border, borders, pair

_MODES = {"reflection": "reflect", "replication": "replicate"}


@layer("padding")
def padding(given: Given) -> Run:
    """Pad the last two dimensions with a constant, mirrored at the edge, or with the edge."""
    arity(given, 1)
    pairs = borders(given.params.paddingAmounts)
    kind = given.params.WhichOneof("PaddingType")
    if kind not in _MODES:
        value = given.params.constant.value
        return lambda x: add_border(x, pairs, value)
    flat = [n for both in reversed(pairs) for n in both]

    def run(x: torch.Tensor) -> torch.Tensor:
        made = functional.pad(x.reshape(1, -1, *x.shape[-2:]), flat, _MODES[kind])
        return made.reshape(*x.shape[:-2], *made.shape[-2:])

    return run


@layer("crop")
def crop(given: Given) -> Run:
    """Cut height and width by amounts, or at an offset to the size of a second blob."""
    arity(given, 1, 2)
    if len(given.message.input) < 2:
        amounts = [(-before, -after) for before, after in borders(given.params.cropAmounts)]
        return lambda x: add_border(x, amounts)
    top, left = pair(given.params.offset, 0)

    def run(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        height, width = like.shape[-2:]
        if top + height > x.shape[-2] or left + width > x.shape[-1]:
            raise ValueError(f"nothing of size {height} x {width} lies at ({top}, {left})")
        return x[..., top : top + height, left : left + width]

    return run
