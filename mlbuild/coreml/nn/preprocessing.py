"""What happens to a picture before the first layer: scale and bias, or a mean picture.

Source: Core ML specification, NeuralNetwork.proto, NeuralNetworkPreprocessing,
NeuralNetworkImageScaler and NeuralNetworkMeanImage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..description import Feature, ImageLayout
from ..errors import ModelFileError

Prepare = Callable[[torch.Tensor], torch.Tensor]
_BIASES = {
    "RGB": ("redBias", "greenBias", "blueBias"),
    "BGR": ("blueBias", "greenBias", "redBias"),
}


def read_preprocessing(messages: Sequence[Any], inputs: Sequence[Feature]) -> dict[str, Prepare]:
    """What to do with each picture, by the input's name; in the order in which it is stored.

    Preprocessing without a name belongs to the only picture among the inputs.

    Raises:
        ModelFileError: It is meant for something that is no picture, or does not fit it.
    """
    pictures = {f.name: f.image for f in inputs if f.image is not None}
    found: dict[str, Prepare] = {}
    for number, message in enumerate(messages):
        name = message.featureName
        if not name and len(pictures) == 1:
            (name,) = pictures
        place = f"preprocessing {number} of '{name}'"
        if name not in pictures:
            raise ModelFileError(
                "preprocessing is for an image input", place=place, allowed=sorted(pictures)
            )
        step = _prepare(message, pictures[name], place)
        found[name] = _after(found[name], step) if name in found else step
    return found


def _after(first: Prepare, second: Prepare) -> Prepare:
    return lambda picture: second(first(picture))


def _prepare(message: Any, layout: ImageLayout, place: str) -> Prepare:
    kind = message.WhichOneof("preprocessor")
    if kind == "scaler":
        return _scaler(message.scaler, layout)
    if kind == "meanImage":
        return _mean_image(message.meanImage, layout, place)
    raise ModelFileError("preprocessing of no known kind", place=place)


def _scaler(message: Any, layout: ImageLayout) -> Prepare:
    names = _BIASES.get(layout.color, ("grayBias",))
    bias = torch.tensor([getattr(message, name) for name in names]).reshape(-1, 1, 1)
    scale = message.channelScale
    return lambda picture: picture * scale + bias


def _mean_image(message: Any, layout: ImageLayout, place: str) -> Prepare:
    mean = torch.from_numpy(np.array(message.meanImage, dtype=np.float32))
    shape = (layout.channels, layout.height, layout.width)
    if mean.numel() != shape[0] * shape[1] * shape[2]:
        raise ModelFileError(
            "the mean picture has another size than the input",
            place=place,
            got=f"{mean.numel()} values",
            allowed=(str(list(shape)),),
        )
    mean = mean.reshape(shape)
    return lambda picture: picture - mean
