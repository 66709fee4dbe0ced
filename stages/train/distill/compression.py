"""Weights that stay on a palette or a mask while they learn.

Sources: Bengio et al., "Estimating or propagating gradients through stochastic neurons" (2013), for
gradients that pass straight through; Han et al., "Deep compression" (2016), for learnt palettes;
Zhu and Gupta, "To prune, or not to prune" (2017), for sparsity that grows with the third power.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

_ROUNDS = 30  # of k-means before learning starts
_GROWING = 0.6  # share of the training in which zeros become more


class Palette(nn.Module):
    """A weight is the nearest of a few values, which follow the weights."""

    def __init__(self, weight: torch.Tensor, bits: int) -> None:
        super().__init__()
        flat = weight.detach().flatten()
        shares = (torch.arange(2**bits) + 0.5) / 2**bits
        self.register_buffer("values", torch.quantile(_thinned(flat), shares))
        for _ in range(_ROUNDS):
            self.follow(weight)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The palette's value for each weight; its gradient is the weight's."""
        return weight + (self.values[self._places(weight)] - weight).detach()

    def final(self, weight: torch.Tensor) -> torch.Tensor:
        """The values alone, to the last bit."""
        return self.values[self._places(weight)]

    def follow(self, weight: torch.Tensor) -> None:
        """Move each value to the mean of its weights."""
        with torch.no_grad():
            places, flat = self._places(weight).flatten(), weight.detach().flatten().double()
            size = len(self.values)
            mass = torch.bincount(places, minlength=size)
            total = torch.bincount(places, weights=flat, minlength=size)
            means = (total / mass.clamp(min=1)).to(self.values.dtype)
            self.values.copy_(torch.where(mass > 0, means, self.values).sort().values)

    def _places(self, weight: torch.Tensor) -> torch.Tensor:
        middles = (self.values[1:] + self.values[:-1]) / 2
        return torch.bucketize(weight.detach(), middles)


class Mask(nn.Module):
    """The smallest weights are zero; which ones is decided again as they become more."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones_like(weight))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights that are left."""
        return weight * self.mask

    def final(self, weight: torch.Tensor) -> torch.Tensor:
        """The same."""
        return weight * self.mask

    def choose(self, weight: torch.Tensor, sparsity: float) -> None:
        """Set so large a share to zero, the smallest."""
        with torch.no_grad():
            # Rounded up: what prunes to the same share later finds enough zeros.
            count = min(weight.numel() - 1, -int(-weight.numel() * sparsity // 1))
            order = weight.detach().abs().flatten().argsort(stable=True)
            flat = torch.ones(weight.numel())
            flat[order[:count]] = 0.0
            self.mask.copy_(flat.view_as(self.mask))


@dataclass
class Layer:
    """A module whose weight is compressed."""

    name: str
    module: nn.Module
    form: Any  # Palette or Mask

    @property
    def weight(self) -> torch.Tensor:
        """What is learnt, behind the compressed weight."""
        return self.module.parametrizations.weight.original


def attach(net: nn.Module, params: Any) -> list[Layer]:
    """Put every large enough weight of convolutions and linear layers onto a palette or mask."""
    layers = []
    for name, module in net.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        weight = module.weight
        kept = any(fnmatch.fnmatchcase(f"{name}.weight", pattern) for pattern in params.keep)
        if kept or weight.numel() <= params.least_elements:
            continue
        form = Palette(weight, params.bits) if params.compress == "palette" else Mask(weight)
        if isinstance(form, Mask):
            form.choose(weight, params.sparsity)
        parametrize.register_parametrization(module, "weight", form)
        layers.append(Layer(name, module, form))
    return layers


def follow(layers: list[Layer], params: Any, done: float) -> None:
    """After a step: palettes follow their weights; zeros become more until the last ones are set.

    Args:
        layers: of ``attach``.
        params: of the kind.
        done: share of the training that is over.
    """
    for layer in layers:
        if isinstance(layer.form, Palette):
            layer.form.follow(layer.weight)
        else:
            left = max(0.0, 1 - done / _GROWING)
            layer.form.choose(layer.weight, params.sparsity * (1 - left**3))


def detach(layers: list[Layer]) -> None:
    """Make the compressed values the weights."""
    for layer in layers:
        with torch.no_grad():
            final = layer.form.final(layer.weight).clone()
        parametrize.remove_parametrizations(layer.module, "weight", leave_parametrized=False)
        with torch.no_grad():
            layer.module.weight.copy_(final)


def _thinned(flat: torch.Tensor, most: int = 1_000_000) -> torch.Tensor:
    # torch.quantile takes no more than 16 million.
    return flat if len(flat) <= most else flat[:: -(-len(flat) // most)]
