"""What a picture shows and how it is painted, by the features of a pretrained network.

Sources: Gatys et al., "Image style transfer using convolutional neural networks" (2016); Johnson et
al., "Perceptual losses for real-time style transfer" (2016).
"""

from __future__ import annotations

import torch
from torch import nn

from ..._shared.torch_model.architectures import build
from ..._shared.torch_model.detector_net import LiteBackbone
from ..._shared.torch_model.preprocessing import Preprocessing
from ..._shared.torch_model.pretrained import load_backbone, preprocessing_of

BACKBONE = "efficientnet-lite0"
_DEPTHS = 5
_CONTENT = 2  # a stride of 8: what is where, but not each pixel


class Perception(nn.Module):
    """Features at five depths of pictures from 0 to 255."""

    def __init__(self, side: int) -> None:
        super().__init__()
        lite = build(BACKBONE, {"image_size": side}, 2)
        self.backbone = LiteBackbone(lite, _DEPTHS).eval().requires_grad_(False)
        load_backbone(self.backbone, BACKBONE)
        how: Preprocessing = preprocessing_of(BACKBONE, side)
        self.mean, self.std = float(how.mean[0]), float(how.std[0])

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Shapes [N, 3, H, W] -> five of [N, C, h, w]."""
        return self.backbone((pixels - self.mean) / self.std)


def grams(features: list[torch.Tensor]) -> list[torch.Tensor]:
    """Mean products of channels, [N, C, h, w] -> [N, C, C]."""
    found = []
    for feature in features:
        flat = torch.flatten(feature, 2)
        found.append(flat @ flat.transpose(1, 2) / flat.shape[2])
    return found


def style_distance(features: list[torch.Tensor], style: list[torch.Tensor]) -> torch.Tensor:
    """From a style's products, relative to their size, mean over the depths: [N]."""
    apart = [
        ((ours - theirs) ** 2).mean(dim=(1, 2)) / (theirs**2).mean()
        for ours, theirs in zip(grams(features), style, strict=True)
    ]
    return torch.stack(apart).mean(dim=0)


def content_distance(features: list[torch.Tensor], shown: list[torch.Tensor]) -> torch.Tensor:
    """From what a photograph shows, relative to its size: [N]."""
    ours, theirs = features[_CONTENT], shown[_CONTENT]
    return ((ours - theirs) ** 2).mean(dim=(1, 2, 3)) / (theirs**2).mean(dim=(1, 2, 3))


def roughness(pixels: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of neighbours, as share of full range: a number."""
    across = (pixels[..., 1:] - pixels[..., :-1]) / 255
    down = (pixels[..., 1:, :] - pixels[..., :-1, :]) / 255
    return (across**2).mean() + (down**2).mean()
