"""Pixels from 0 to 255 to what the network was trained on, inside the Core ML model."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..._shared.problem.problem import Problem
from ..._shared.torch_model.preprocessing import Preprocessing

_EXACT = 1e-4  # relative; float32 sums in another order


@dataclass(frozen=True)
class Pixels:
    """An image input: ``pixel * scale + bias``; Core ML takes one scale and a bias a channel."""

    colour: str
    scale: float
    bias: tuple[float, ...]
    multiply: tuple[float, ...] | None = None  # a channel's own factor, applied in the graph

    @staticmethod
    def given(values: dict[str, Any]) -> Pixels:
        """From the parameters of an input. Scales that differ become a factor in the graph."""
        colour = values.get("colour") or "RGB"
        count = 1 if colour == "GRAY" else 3
        scales = _each(values.get("scale", 1.0), count)
        bias = _each(values.get("bias", 0.0), count)
        if len(set(scales)) == 1:
            return Pixels(colour, scales[0], bias)
        # x * s + b = (x + b / s) * s: the bias goes first, then each channel's own factor.
        if 0.0 in scales:
            raise Problem(f"scale {list(scales)}: a channel's scale is 0")
        return Pixels(colour, 1.0, tuple(b / s for s, b in zip(scales, bias, strict=True)), scales)


def fold_pixels(net: nn.Module, preprocessing: Preprocessing) -> tuple[nn.Module, Pixels]:
    """The network and its image input, so that both together are the network on normalised values.

    Core ML knows one scale for all channels. Where deviations differ, the input keeps the first
    one's scale and the rest goes into the weights of the first convolution, which is exact: its
    zero padding stays zero.

    Raises:
        Problem: the folded network does not compute the same.
    """
    mean, std = preprocessing.mean, preprocessing.std
    pixels = Pixels(preprocessing.colour, 1 / std[0], tuple(-m / std[0] for m in mean))
    if len(set(std)) == 1:
        return net, pixels
    folded = copy.deepcopy(net)
    factors = torch.tensor([std[0] / s for s in std])
    with torch.no_grad():
        folded.first_convolution().weight.mul_(factors.view(1, -1, 1, 1))
    _check(net, folded, preprocessing, pixels)
    return folded, pixels


def _check(net: nn.Module, folded: nn.Module, how: Preprocessing, pixels: Pixels) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, how.shape, generator=generator).float()

    def column(values: Any) -> torch.Tensor:
        return torch.tensor(values).view(1, -1, 1, 1)

    with torch.no_grad():
        wanted = net((image - column(how.mean)) / column(how.std))
        got = folded(image * pixels.scale + column(pixels.bias))
    off = float((wanted - got).abs().max() / wanted.abs().max().clamp(min=1e-6))
    if off > _EXACT:
        raise Problem(
            f"folding the channels' deviations changed the result by {off:.1e} of its size"
        )


def _each(value: float | list[float], count: int) -> tuple[float, ...]:
    values = list(value) if isinstance(value, list) else [value] * count
    return tuple(float(v) for v in values)
