"""An anchor-free detector: at each place of two or three grids, scores and distances to four sides.

Sources: Tian et al., "FCOS: Fully convolutional one-stage object detection" (2019): a place that
lies in the middle of an object tells the distances to its sides; Lin et al., "Feature pyramid
networks" (2017): coarse features are added to fine ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import interpolate

_PRIOR = 0.01  # what an untrained detector gives each class: almost nothing is an object
_FARTHEST = 6.0  # exponent: 400 strides, more than any picture has


class Detector(nn.Module):
    """A backbone whose last levels look for objects."""

    def __init__(
        self, backbone: nn.Module, classes: int, height: int, width: int, neck: int
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.strides: list[int] = backbone.strides
        self.size = (height, width)
        self.lateral = nn.ModuleList(nn.Conv2d(w, neck, 1) for w in backbone.widths)
        self.smooth = nn.ModuleList(_block(neck, neck) for _ in backbone.widths)
        self.score_tower, self.box_tower = _block(neck, neck), _block(neck, neck)
        self.score = nn.Conv2d(neck, classes, 1)
        self.box = nn.Conv2d(neck, 4, 1)
        self.zoom = nn.Parameter(torch.ones(len(self.strides)))
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.constant_(self.score.bias, -math.log((1 - _PRIOR) / _PRIOR))
        nn.init.normal_(self.box.weight, std=0.01)
        nn.init.constant_(self.box.bias, 1.0)
        self.register_buffer("places", self._places(), persistent=False)  # [A, 3]: x, y, stride

    def raw(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and distances to the left, upper, right and lower side in pixels.

        Shapes [N, C, H, W] -> [N, A, K], [N, A, 4].
        """
        features = [side(f) for side, f in zip(self.lateral, self.backbone(x), strict=True)]
        for level in range(len(features) - 2, -1, -1):
            size = features[level].shape[2:]
            coarse = interpolate(features[level + 1], size=[int(s) for s in size], mode="nearest")
            features[level] = features[level] + coarse
        scores, sides = [], []
        for level, (smooth, feature) in enumerate(zip(self.smooth, features, strict=True)):
            feature = smooth(feature)
            box = self.box(self.box_tower(feature)) * self.zoom[level]
            box = torch.exp(torch.clamp(box, max=_FARTHEST)) * float(self.strides[level])
            scores.append(torch.flatten(self.score(self.score_tower(feature)), 2))
            sides.append(torch.flatten(box, 2))
        return torch.cat(scores, 2).transpose(1, 2), torch.cat(sides, 2).transpose(1, 2)

    def corners(self, sides: torch.Tensor) -> torch.Tensor:
        """Distances to the sides as left, upper, right, lower in pixels, [N, A, 4]."""
        middle = self.places[:, :2]
        return torch.cat([middle - sides[..., :2], middle + sides[..., 2:]], dim=-1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Confidences and boxes (x and y of the middle, width, height, as shares of the picture).

        Shapes [N, C, H, W] -> [N, A, K], [N, A, 4].
        """
        logits, sides = self.raw(x)
        size = torch.tensor([float(self.size[1]), float(self.size[0])])
        low, high = sides[..., :2] / size, sides[..., 2:] / size  # small numbers keep their digits
        middle = self.places[:, :2] / size + (high - low) * 0.5
        return torch.sigmoid(logits), torch.cat([middle, low + high], dim=-1)

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.backbone.first_convolution()

    def _places(self) -> torch.Tensor:
        rows = []
        for stride in self.strides:
            high, wide = (math.ceil(side / stride) for side in self.size)
            y, x = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
            middle = torch.stack([x, y], dim=-1).reshape(-1, 2).float() * stride + stride / 2
            rows.append(torch.cat([middle, torch.full((len(middle), 1), float(stride))], dim=1))
        return torch.cat(rows)


class SmallBackbone(nn.Module):
    """Convolutions from scratch; each stage halves the size."""

    def __init__(self, in_channels: int, channels: list[int], levels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = in_channels
        for place, width in enumerate(channels):
            last = [] if place == 0 else [_block(width, width)]
            self.stages.append(nn.Sequential(_block(before, width, stride=2), *last))
            before = width
        self.levels = levels
        self.widths = channels[-levels:]
        self.strides = [2 ** (n + 1) for n in range(len(channels))][-levels:]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """The features of the last stages, from fine to coarse."""
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found[-self.levels :]

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.stages[0][0][0]


class LiteBackbone(nn.Module):
    """EfficientNet-Lite's blocks; features are those before each block that halves the size."""

    def __init__(self, lite: nn.Module, levels: int) -> None:
        super().__init__()
        body = lite.body
        self.body = body
        for name in ("_conv_head", "_bn1", "_avg_pooling", "_dropout", "_fc"):
            setattr(body, name, nn.Identity())
        strides, widths, stride = [], [], 2
        for block in body._blocks:
            stride *= _halves(block)
            strides.append(stride)
            widths.append(block._project_conv.out_channels)
        last = [n for n, s in enumerate(strides) if strides[n + 1 : n + 2] != [s]][-levels:]
        self.taken = last
        self.widths = [widths[n] for n in last]
        self.strides = [strides[n] for n in last]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Features from fine to coarse."""
        body, found = self.body, []
        x = body._swish(body._bn0(body._conv_stem(x)))
        for place, block in enumerate(body._blocks):
            x = block(x)
            if place in self.taken:
                found.append(x)
        return found

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.body._conv_stem


def _halves(block: nn.Module) -> int:
    stride = block._depthwise_conv.stride
    return int(stride[0] if isinstance(stride, (tuple, list)) else stride)


def _block(before: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def builder(lite: Callable[..., nn.Module]) -> dict[str, Callable[..., nn.Module]]:
    """The architectures of this file.

    Args:
        lite: builds an EfficientNet-Lite0 of (classes, image_size).
    """

    def small(
        classes: int,
        height: int,
        width: int,
        in_channels: int = 3,
        channels: tuple[int, ...] = (16, 32, 64, 128),
        levels: int = 2,
        neck: int = 64,
    ) -> nn.Module:
        return Detector(
            SmallBackbone(in_channels, list(channels), levels), classes, height, width, neck
        )

    def pretrained(
        classes: int, height: int, width: int, levels: int = 3, neck: int = 64
    ) -> nn.Module:
        body = lite(classes=2, image_size=max(height, width))
        return Detector(LiteBackbone(body, levels), classes, height, width, neck)

    return {"detector": small, "detector-lite0": pretrained}
