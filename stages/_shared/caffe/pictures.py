"""How a Caffe net wants its pictures: the user's words, or what lies beside it."""

from __future__ import annotations

from typing import Any, Optional, Sequence  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..problem.problem import Problem
from ..torch_model.preprocessing import Preprocessing, from_json
from .folder import Blob, CaffeFolder
from .mean import read_mean

_CHANNELS = {1: ("GRAY",), 3: ("RGB", "BGR")}


def is_picture(blob: Blob) -> bool:
    """Whether an input may be one: [N, 1 or 3, H, W]."""
    return len(blob.shape) == 4 and blob.shape[1] in _CHANNELS


def preprocessing(
    blob: Blob, colour: str, scale: Sequence[float], bias: Sequence[float]
) -> Preprocessing:
    """Of ``pixel * scale + bias`` per channel.

    Raises:
        Problem: the colour does not fit the channels.
    """
    channels = blob.shape[1]
    if colour not in _CHANNELS.get(channels, ()):
        raise Problem(
            f"input '{blob.name}' has {channels} channels, which {colour} does not",
            hint=f"colour: {' or '.join(_CHANNELS.get(channels, ('none',)))}",
        )
    return Preprocessing(
        height=blob.shape[2],
        width=blob.shape[3],
        colour=colour,
        mean=tuple(-b / s for b, s in zip(bias, scale)),  # noqa: B905
        std=tuple(1 / s for s in scale),
        resize="crop",
        crop=1.0,
        interpolation="bilinear",
    )


def mean_of(net: CaffeFolder, blob: Blob) -> Optional[np.ndarray]:  # noqa: UP045
    """The mean of each channel; None where the net has none.

    Raises:
        Problem: it has other channels than the input.
    """
    if net.mean is None:
        return None
    values = read_mean(net.mean)
    if values.shape[0] != blob.shape[1]:
        raise Problem(f"{net.mean.name} has {values.shape[0]} channels, the net {blob.shape[1]}")
    return values


def listed(value: Any, channels: int) -> Sequence[float]:
    """A number, or one for each channel, as one for each."""
    return [float(v) for v in value] if isinstance(value, list) else [float(value)] * channels


def chosen(
    net: CaffeFolder,
    blob: Blob,
    description: Any,
    given: Optional[Preprocessing] = None,  # noqa: UP045
) -> Preprocessing:
    """How pictures of an input are prepared, apart from a mean picture.

    Args:
        net: its mean picture is subtracted besides.
        blob: the input.
        description: what the folder says of itself, or nothing.
        given: what the user says.

    Raises:
        Problem: two of them do not go together.
    """
    found = given
    for stated in (description or {}).get("inputs") or ():
        if found is None and stated["name"] == blob.name and stated.get("preprocessing"):
            found = from_json(stated["preprocessing"])
    if found is None:
        # Caffe's own tools decode pictures as BGR, from 0 to 255.
        colour = "BGR" if blob.shape[1] == 3 else "GRAY"
        ones, zeros = [1.0] * blob.shape[1], [0.0] * blob.shape[1]
        found = preprocessing(blob, colour, ones, zeros)
    if (1, found.channels, found.height, found.width) != (1, *blob.shape[1:]):
        raise Problem(f"input '{blob.name}' is {list(blob.shape)}, pictures are {found.shape}")
    values = mean_of(net, blob)
    if values is not None:
        _check_mean(net, blob, values, found)
    return found


def _check_mean(net: CaffeFolder, blob: Blob, values: np.ndarray, found: Preprocessing) -> None:
    assert net.mean is not None
    if values.shape != blob.shape[1:]:
        told = ", ".join(f"{-m:.3f}" for m in values.reshape(values.shape[0], -1).mean(axis=1))
        raise Problem(
            f"{net.mean.name} is {list(values.shape)}, pictures are {list(blob.shape[1:])}",
            hint=f"leave it out and say its means: bias: [{told}] (in the order of the channels)",
        )
    if set(found.mean) != {0.0} or set(found.std) != {1.0}:
        raise Problem(
            f"scale and bias do not go together with {net.mean.name}",
            hint="leave the mean picture out and say its means as bias",
        )
