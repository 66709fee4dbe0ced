"""Networks whose conversions are damaged: small, but each with what makes its family difficult.

Weights are random, from a seed. Norms get statistics as training leaves them (means off zero,
variances off one), since otherwise a wrong epsilon or a swapped statistic would change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LABELS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay")
PICTURE = 32  # pixels a side
MEAN, STD = (118.0, 111.0, 103.0), 61.0  # of a pixel; one scale, since Core ML's images have one


class Squeeze(nn.Module):
    """Channels weighed by what the whole picture holds of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 6, 1), nn.Conv2d(6, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, C, H, W] -> the same."""
        weight = functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(functional.silu(self.down(weight))))


class Inverted(nn.Module):
    """An inverted residual: wide, depthwise, squeezed, narrow."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        wide = inside * 3
        self.expand, self.norm = nn.Conv2d(inside, wide, 1, bias=False), nn.BatchNorm2d(wide)
        self.depth = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide)
        self.squeeze, self.project = Squeeze(wide), nn.Conv2d(wide, outside, 1)
        self.residual = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, C, H, W] -> [N, K, H / stride, W / stride]."""
        y = functional.relu6(self.norm(self.expand(x)))
        y = self.project(self.squeeze(functional.hardswish(self.depth(y))))
        return x + y if self.residual else y


class MobileNet(nn.Module):
    """A classifier of pictures in the manner of MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.body = nn.Sequential(Inverted(8, 8, 1), Inverted(8, 16, 2), Inverted(16, 16, 1))
        self.head = nn.Linear(16, len(LABELS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, 3, 32, 32] -> [N, 10], probabilities."""
        y = self.body(self.pool(functional.relu(self.norm(self.stem(x)))))
        return torch.softmax(self.head(y.mean(dim=(2, 3))), dim=-1)


class Upsampling(nn.Module):
    """A residual net that goes down and up again, as nets for segmentation and style do."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.norm = nn.InstanceNorm2d(12, affine=True)
        self.group = nn.GroupNorm(3, 12)
        self.middle = nn.Conv2d(12, 12, 3, padding=2, dilation=2)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.rise = nn.ConvTranspose2d(12, 8, 4, stride=2, padding=1)
        self.slope = nn.PReLU(8)
        self.last = nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, 3, 20, 28] -> [N, 1, 40, 56]."""
        wide = functional.leaky_relu(self.first(functional.pad(x, (1, 1, 1, 1), "reflect")), 0.1)
        y = functional.elu(self.norm(self.down(wide)))
        y = y + self.mean(functional.relu(self.group(self.middle(y))))
        low = functional.interpolate(self.pool(y), size=(10, 14), mode="nearest")
        y = self.slope(self.rise(y - torch.tanh(low)))
        y = self.last(torch.cat([y, wide], dim=1))
        y = functional.pixel_shuffle(y, 2)
        coarse = functional.interpolate(
            functional.softplus(x[:, 1:2]), scale_factor=2, mode="bilinear", align_corners=False
        )
        return torch.sigmoid(y) * 2 - 0.3 * coarse


class Recurrent(nn.Module):
    """A bidirectional LSTM on a GRU, as nets for speech and motion have them."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 8, batch_first=True)
        self.lstm = nn.LSTM(8, 7, batch_first=True, bidirectional=True)
        self.norm = nn.LayerNorm(14)
        self.head = nn.Linear(14, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shapes [N, 12, 6] -> [N, 12, 5], log-probabilities."""
        y, _ = self.gru(x)
        y, _ = self.lstm(torch.tanh(y) * 2)
        return torch.log_softmax(self.head(self.norm(y)), dim=-1)


class Block(nn.Module):
    """Attention that looks back only, then two layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width, eps=1e-3)
        self.joint, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Shapes [N, T, W], [T, T] -> [N, T, W]."""
        n, t, w = x.shape
        joint = self.joint(self.before(x)).reshape(n, t, 3, self.heads, w // self.heads)
        q, k, v = joint.permute(2, 0, 3, 1, 4).unbind(0)
        score = (q @ k.transpose(-1, -2)) / math.sqrt(w // self.heads) + mask
        y = (torch.softmax(score, dim=-1) @ v).transpose(1, 2).reshape(n, t, w)
        x = x + self.out(y)
        return x + self.narrow(functional.gelu(self.wide(self.between(x))))


class Transformer(nn.Module):
    """A small language model."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(30, 16), nn.Embedding(10, 16)
        self.blocks = nn.ModuleList([Block(16, 2), Block(16, 4)])
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 30, bias=False)
        self.register_buffer("mask", torch.full((10, 10), -1e4).triu(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Shapes [N, 10] -> [N, 10, 30]."""
        x = self.words(ids) + self.places.weight
        for block in self.blocks:
            x = block(x, self.mask)
        return self.head(self.norm(x))


@dataclass(frozen=True)
class Net:
    """A family: how to build it, and what it is fed."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tokens: int = 0  # how many there are, where the input is of them
    picture: bool = False

    def made(self, seed: int) -> nn.Module:
        """The network of a seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = self.build().eval()
            _as_trained(net)
        return net

    def example(self, rng: np.random.Generator) -> np.ndarray:
        """One input: uint8 [H, W, 3] for pictures, else of ``shape``."""
        if self.picture:
            return _picture(rng)
        if self.tokens:
            return rng.integers(0, self.tokens, self.shape).astype(np.int32)
        return rng.standard_normal(self.shape).astype(np.float32)


NETS = {
    net.name: net
    for net in (
        Net("mobilenet", MobileNet, (1, 3, PICTURE, PICTURE), picture=True),
        Net("upsampling", Upsampling, (1, 3, 20, 28)),
        Net("recurrent", Recurrent, (1, 12, 6)),
        Net("transformer", Transformer, (1, 10), tokens=30),
    )
}


def _as_trained(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.05, 0.6)
        if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 1.4 / math.sqrt(_fan_in(module)))
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.05, 0.4)


def _fan_in(module: nn.Module) -> int:
    if isinstance(module, nn.ConvTranspose2d):
        return module.in_channels * 4
    return int(module.weight[0].numel())


def _picture(rng: np.random.Generator) -> np.ndarray:
    """Something with large and small forms and colours of its own: uint8 [H, W, 3]."""
    coarse = rng.uniform(0, 255, (4, 4, 3)).repeat(PICTURE // 4, 0).repeat(PICTURE // 4, 1)
    fine = rng.uniform(-60, 60, (PICTURE, PICTURE, 3))
    tint = rng.uniform(-50, 50, 3)
    return np.clip(coarse + fine + tint, 0, 255).astype(np.uint8)
