"""Networks from a picture to a map or a picture: U-Net, autoencoder, style.

Sources: Ronneberger et al., "U-Net" (2015); Johnson et al., "Perceptual losses for real-time style
transfer" (2016), with nearest-neighbour upsampling in place of transposed convolutions (Odena et
al., "Deconvolution and checkerboard artifacts", 2016); Ulyanov et al., "Instance normalization"
(2016).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from .detector_net import LiteBackbone


def _double(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Down by halves and up again; what was seen on the way down is used on the way up."""

    def __init__(self, classes: int, in_channels: int, channels: list[int]) -> None:
        super().__init__()
        before = [in_channels, *channels]
        pairs = zip(before, channels, strict=False)
        self.down = nn.ModuleList(_double(a, b) for a, b in pairs)
        back = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.lift = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in back)
        self.up = nn.ModuleList(_double(2 * b, b) for _, b in back)
        self.head = nn.Conv2d(channels[0], classes, 1)

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of each pixel, [N, C, H, W] -> [N, K, H, W]."""
        seen = []
        for place, block in enumerate(self.down):
            x = block(x if place == 0 else max_pool2d(x, kernel_size=2, stride=2))
            seen.append(x)
        for lift, block, before in zip(self.lift, self.up, seen[-2::-1], strict=True):
            x = lift(interpolate(x, scale_factor=2.0, mode="nearest"))
            x = block(torch.cat([x, before], dim=1))
        return self.head(x)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities [N, K, H, W] and the best class of each pixel [N, H, W]."""
        scores = self.scores(x)
        return torch.softmax(scores, dim=1), scores.argmax(dim=1)

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.down[0][0]


class LiteUNet(nn.Module):
    """EfficientNet-Lite's features on the way down, a small way up from them."""

    def __init__(self, lite: nn.Module, classes: int, channels: list[int]) -> None:
        super().__init__()
        self.backbone = LiteBackbone(lite, len(channels) + 1)
        *finer, coarsest = self.backbone.widths
        back = [coarsest, *channels]
        self.lift = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(back, channels, strict=False))
        self.side = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(finer[::-1], channels, strict=True)
        )
        self.up = nn.ModuleList(_double(2 * b, b) for b in channels)
        self.head = nn.Conv2d(channels[-1], classes, 1)
        self.step = self.backbone.strides[0]

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of each pixel, [N, 3, H, W] -> [N, K, H, W]."""
        *finer, x = self.backbone(x)
        ways = zip(self.lift, self.side, self.up, finer[::-1], strict=True)
        for lift, side, block, before in ways:
            x = lift(interpolate(x, scale_factor=2.0, mode="nearest"))
            x = block(torch.cat([x, side(before)], dim=1))
        scale = float(self.step)
        return interpolate(self.head(x), scale_factor=scale, mode="bilinear", align_corners=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities [N, K, H, W] and the best class of each pixel [N, H, W]."""
        scores = self.scores(x)
        return torch.softmax(scores, dim=1), scores.argmax(dim=1)

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.backbone.first_convolution()


class Autoencoder(nn.Module):
    """A picture through a narrow code and back, and how much of it was lost on the way."""

    def __init__(
        self, in_channels: int, channels: list[int], code: int, height: int, width: int
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList()
        before = in_channels
        for wide in channels:
            self.encoder.append(
                nn.Sequential(
                    nn.Conv2d(before, wide, 3, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(wide),
                    nn.ReLU(),
                )
            )
            before = wide
        step = 2 ** len(channels)
        self.small = (before, height // step, width // step)
        flat = before * self.small[1] * self.small[2]
        self.narrow, self.widen = nn.Linear(flat, code), nn.Linear(code, flat)
        self.decoder = nn.ModuleList()
        for wide in [*channels[-2::-1], channels[0]]:
            self.decoder.append(
                nn.Sequential(
                    nn.Conv2d(before, wide, 3, padding=1, bias=False),
                    nn.BatchNorm2d(wide),
                    nn.ReLU(),
                )
            )
            before = wide
        self.last = nn.Conv2d(before, in_channels, 3, padding=1)
        # From the network's own scale back to 0 to 1, so that errors are shares of full range.
        self.register_buffer("mean", torch.zeros(1, in_channels, 1, 1))
        self.register_buffer("std", torch.ones(1, in_channels, 1, 1))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """The code, [N, C, H, W] -> [N, D]."""
        for block in self.encoder:
            x = block(x)
        return self.narrow(torch.flatten(x, 1))

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """A picture from 0 to 1, [N, D] -> [N, C, H, W]."""
        x = torch.relu(self.widen(code)).reshape(-1, *self.small)
        for block in self.decoder:
            x = block(interpolate(x, scale_factor=2.0, mode="nearest"))
        return torch.sigmoid(self.last(x))

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        """The input from 0 to 1."""
        return x * self.std + self.mean

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The picture as it came back, 0 to 255, and its mean squared loss in percent, [N]."""
        restored = self.decode(self.encode(x))
        # In tenths: a float16 has too few digits for squares of small differences.
        apart = (restored - self.plain(x)) * 10.0
        return restored * 255.0, (apart * apart).mean(dim=(1, 2, 3))

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.encoder[0][0]


class StyleNet(nn.Module):
    """A picture in another style, of any size that the strides divide."""

    def __init__(self, channels: list[int], blocks: int) -> None:
        super().__init__()
        first, *others = channels
        down = [_styled(3, first, kernel=9)]
        for before, wide in zip(channels, others, strict=False):
            down.append(_styled(before, wide, stride=2))
        self.down = nn.ModuleList(down)
        self.middle = nn.ModuleList(_Residual(channels[-1]) for _ in range(blocks))
        back = zip(channels[:0:-1], channels[-2::-1], strict=True)
        self.up = nn.ModuleList(_styled(before, wide) for before, wide in back)
        self.last = nn.Conv2d(first, 3, 9, padding=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A picture from 0 to 255, [N, 3, H, W] -> [N, 3, H, W]."""
        for block in self.down:
            x = block(x)
        for block in self.middle:
            x = block(x)
        for block in self.up:
            x = block(interpolate(x, scale_factor=2.0, mode="nearest"))
        return torch.sigmoid(self.last(x)) * 255.0

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.down[0][0]


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _styled(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.InstanceNorm2d(width, affine=True)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(self.first(x))


def _styled(before: int, width: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, stride=stride, padding=kernel // 2),
        nn.InstanceNorm2d(width, affine=True),
        nn.ReLU(),
    )


def _unet(
    classes: int, in_channels: int = 3, channels: tuple[int, ...] = (16, 32, 64)
) -> nn.Module:
    return UNet(classes, in_channels, list(channels))


def _autoencoder(
    classes: int,
    height: int,
    width: int,
    in_channels: int = 1,
    channels: tuple[int, ...] = (16, 32),
    code: int = 16,
) -> nn.Module:
    return Autoencoder(in_channels, list(channels), code, height, width)


def _style(classes: int, channels: tuple[int, ...] = (16, 32, 64), blocks: int = 3) -> nn.Module:
    return StyleNet(list(channels), blocks)


def builder(lite: Callable[..., nn.Module]) -> dict[str, Callable[..., nn.Module]]:
    """The architectures of this file.

    Args:
        lite: builds an EfficientNet-Lite0 of (classes, image_size).
    """

    def pretrained(
        classes: int, image_size: int, channels: tuple[int, ...] = (96, 64, 32, 24)
    ) -> nn.Module:
        return LiteUNet(lite(classes=2, image_size=image_size), classes, list(channels))

    return {
        "unet": _unet,
        "unet-lite0": pretrained,
        "autoencoder": _autoencoder,
        "style": _style,
    }
