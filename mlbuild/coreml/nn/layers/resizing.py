"""Resizing of height and width: upsample, resizeBilinear, cropResize.

Source: Core ML specification, NeuralNetwork.proto, UpsampleLayerParams,
ResizeBilinearLayerParams, CropResizeLayerParams, SamplingMode and BoxCoordinatesMode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...limits import demand
from ...mil.sampled import read_at
from ...mil.sampling import grid, linear
from ..checks import arity
from ..layer import Given, Run, layer
from ..windows import pair

# The modes by the names that ``grid`` has for them.
_SAMPLING = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS")
_LINEAR = ("DEFAULT", "STRICT_ALIGN_CORNERS", "UNALIGN_CORNERS")
_BILINEAR = 1
_WIDTH_FIRST, _CENTERED = (1, 3), (2, 3)


@layer("upsample")
def upsample(given: Given) -> Run:
    """Multiply height and width, repeating elements or interpolating between them."""
    arity(given, 1)
    params = given.params
    factors = [float(f) for f in params.fractionalScalingFactor] or pair(params.scalingFactor, 1)
    if params.mode == _BILINEAR:
        mode = _LINEAR[params.linearUpsampleMode]
        return lambda x: _resize(x, _multiplied(x, factors), mode)
    rows, columns = (int(f) for f in factors)

    def repeat(x: torch.Tensor) -> torch.Tensor:
        demand(x.nbytes * rows * columns)
        return x.repeat_interleave(rows, -2).repeat_interleave(columns, -1)

    return repeat


@layer("resizeBilinear")
def resize_bilinear(given: Given) -> Run:
    """Interpolate height and width to a size."""
    arity(given, 1)
    size = pair(given.params.targetSize, 1)
    mode = _SAMPLING[given.params.mode.samplingMethod]
    return lambda x: _resize(x, size, mode)


@layer("cropResize")
def crop_resize(given: Given) -> Run:
    """Cut boxes out and interpolate each to one size.

    Images [1, B, C, H, W] and boxes [N, 1, 4, 1, 1] give [N, B, C, h, w]; boxes of five elements,
    whose first is the index of the image, give [N, 1, C, h, w].
    """
    arity(given, 2)

    def run(images: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        x = images.reshape(-1, *images.shape[-3:])
        made = []
        for box in boxes.reshape(boxes.shape[0], -1).detach():
            which = x[int(box[0])][None] if box.numel() == 5 else x
            made.append(_cut(which, box[-4:].tolist(), given.params))
        return torch.stack(made)

    return run


def _multiplied(x: torch.Tensor, factors: Sequence[float]) -> list[int]:
    """Height and width times the factors, rounded down.

    The product is one of float32, as the stored factors are: 3 times 5/3 is 5, not 4.9999999.
    """
    pairs = zip(x.shape[-2:], factors, strict=True)
    return [int(np.float32(size) * np.float32(factor)) for size, factor in pairs]


def _resize(x: torch.Tensor, size: list[int], mode: str) -> torch.Tensor:
    demand(x.element_size() * x.shape[:-2].numel() * size[0] * size[1])
    for axis, count in zip((-2, -1), size, strict=True):
        x = linear(x, axis, grid(int(x.shape[axis]), count, mode))
    return x


def _cut(images: torch.Tensor, box: list[float], params: Any) -> torch.Tensor:
    height, width = pair(params.targetSize, 1)
    demand(images.element_size() * images.shape[:-2].numel() * height * width)
    top, left, bottom, right = (edge * params.spatialScale for edge in _corners(box, params))
    if params.normalizedCoordinates:
        rows, columns = int(images.shape[-2]) - 1, int(images.shape[-1]) - 1
        top, bottom, left, right = top * rows, bottom * rows, left * columns, right * columns
    mode = _SAMPLING[params.mode.samplingMethod]
    y, x = _points(top, bottom, height, mode), _points(left, right, width, mode)
    count = len(images)
    rows_at = y[:, None].expand(count, height, width)
    columns_at = x[None, :].expand(count, height, width)
    return read_at(images, columns_at, rows_at, padding="border")


def _corners(box: list[float], params: Any) -> tuple[float, float, float, float]:
    """Top, left, bottom, right."""
    mode = params.boxIndicesMode.boxMode
    a, b, c, d = (box[i] for i in (1, 0, 3, 2)) if mode in _WIDTH_FIRST else box
    if mode in _CENTERED:
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d


def _points(first: float, last: float, count: int, mode: str) -> torch.Tensor:
    """The mode's grid over the box, as over a picture that ends where the box ends."""
    return first + grid(last - first + 1, count, mode).clamp(max=max(last - first, 0.0))
