"""The architectures that a model file may name, each built from plain arguments.

Every classifier here has the same three parts: ``features(x)`` (one vector a picture), ``head``
(vector to logits) and ``blocks()`` (groups of layers from input to output, for fine-tuning).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..problem.problem import Problem
from . import detector_net, nearest_net, picture_nets, sequence_nets
from .folding import fold

LITE_SIZES = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}


class UnitLinear(nn.Module):
    """A linear layer on features brought to unit length, as a cosine classifier uses them."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of features, shapes [N, F] -> [N, K]."""
        # A thousand squares of features may overflow float16: scale before squaring.
        x = x * (1.0 / 16.0)
        return self.linear(x * torch.rsqrt((x * x).sum(dim=1, keepdim=True) + 1e-4))


def make_head(kind: str, features: int, classes: int) -> nn.Module:
    """The last layers: "linear" or "unit-linear"."""
    if kind == "linear":
        return nn.Linear(features, classes)
    if kind == "unit-linear":
        return UnitLinear(features, classes)
    raise Problem(f"head is {kind!r}, allowed: linear, unit-linear")


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite of ``efficientnet_lite_pytorch`` with a head of our own."""

    def __init__(self, name: str, classes: int, image_size: int, head: str, dropout: float) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet  # only this architecture needs it

        self.body = EfficientNet.from_name(name, image_size=image_size)
        _pad_in_convolutions(self.body)
        self.width = self.body._fc.in_features
        self.body._fc = nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = make_head(head, self.width, classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Pooled features, shapes [N, 3, H, W] -> [N, F]."""
        return torch.flatten(self.body._avg_pooling(self.body.extract_features(x)), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, shapes [N, 3, H, W] -> [N, K]."""
        return self.head(self.dropout(self.features(x)))

    def blocks(self) -> list[nn.Module]:
        """From input to output; the last one is the convolution before pooling."""
        body = self.body
        stem = nn.ModuleList([body._conv_stem, body._bn0])
        return [stem, *body._blocks, nn.ModuleList([body._conv_head, body._bn1])]

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.body._conv_stem


def _pad_in_convolutions(body: nn.Module) -> None:
    """Equal borders become the convolution's own padding: the same sums, one operator less."""
    for layer in body.modules():
        border = getattr(getattr(layer, "static_padding", None), "padding", None)
        if border is not None and border[0] == border[1] and border[2] == border[3]:
            layer.padding = (border[2], border[0])
            layer.static_padding = nn.Identity()


class SmallCNN(nn.Module):
    """A plain network for small pictures: two convolutions a stage, halved between stages."""

    def __init__(self, classes: int, in_channels: int, channels: list[int], dropout: float) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = in_channels
        for width in channels:
            self.stages.append(_stage(before, width))
            before = width
        self.width = before
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Pooled features, shapes [N, C, H, W] -> [N, F]."""
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index + 1 < len(self.stages):
                x = nn.functional.max_pool2d(x, kernel_size=2, stride=2)
        return torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits, shapes [N, C, H, W] -> [N, K]."""
        return self.head(self.dropout(self.features(x)))

    def blocks(self) -> list[nn.Module]:
        """One group for each stage."""
        return list(self.stages)

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.stages[0][0]


def _stage(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def _lite(name: str) -> Callable[..., nn.Module]:
    def build(
        classes: int,
        image_size: int = LITE_SIZES[name],
        head: str = "linear",
        dropout: float = 0.2,
        folded: bool = False,
    ) -> nn.Module:
        return _folded(EfficientNetLite(name, classes, image_size, head, dropout), folded)

    return build


def _small(
    classes: int,
    in_channels: int = 3,
    channels: tuple[int, ...] = (32, 64, 128),
    dropout: float = 0.1,
    folded: bool = False,
) -> nn.Module:
    return _folded(SmallCNN(classes, in_channels, list(channels), dropout), folded)


def _folded(net: nn.Module, folded: bool) -> nn.Module:
    if folded:
        fold(net)
    return net


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    **{name: _lite(name) for name in LITE_SIZES},
    "small-cnn": _small,
    **sequence_nets.BUILDERS,
    **picture_nets.builder(_lite("efficientnet-lite0")),
    **detector_net.builder(_lite("efficientnet-lite0")),
}


def build(name: str, arguments: dict[str, Any], classes: int) -> nn.Module:
    """An untrained network.

    Args:
        name: a key of ARCHITECTURES.
        arguments: the architecture's own, plain values.
        classes: length of the output.

    Raises:
        Problem: the name or an argument is unknown, or a value does not fit.
    """
    if name not in ARCHITECTURES:
        raise Problem(f"architecture {name!r} is unknown, allowed: {', '.join(ARCHITECTURES)}")
    known = set(inspect.signature(ARCHITECTURES[name]).parameters) - {"classes"}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise Problem(
            f"{name}: unknown argument {unknown[0]!r}, allowed: {', '.join(sorted(known))}"
        )
    try:
        return ARCHITECTURES[name](classes=classes, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Problem(f"{name} cannot be built from {arguments}: {error}") from error


ARCHITECTURES.update(nearest_net.builder(build))
