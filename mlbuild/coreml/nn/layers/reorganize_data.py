"""Moving elements between the channels and the picture's plane.

Source: Core ML specification, NeuralNetwork.proto, ReorganizeDataLayerParams.
"""

from __future__ import annotations

import torch

from ..checks import arity
from ..layer import Given, Run, layer

_SPACE_TO_DEPTH, _DEPTH_TO_SPACE, _PIXEL_SHUFFLE = range(3)


@layer("reorganizeData")
def reorganize_data(given: Given) -> Run:
    """Blocks of the plane to channels, or channels to blocks in one of two orders."""
    arity(given, 1)
    block = int(given.params.blockSize)
    if block < 2:
        raise ValueError(f"the block size must be greater than 1, not {block}")
    if given.params.mode == _SPACE_TO_DEPTH:
        return lambda x: _to_depth(x, block)
    if given.params.mode == _DEPTH_TO_SPACE:
        return lambda x: _to_space(x, block)
    return lambda x: torch.pixel_shuffle(x, block)


def _to_depth(x: torch.Tensor, block: int) -> torch.Tensor:
    *lead, channels, height, width = x.shape
    if height % block or width % block:
        raise ValueError(f"blocks of {block} do not fill {height} x {width}")
    rows, columns = height // block, width // block
    parts = x.reshape(-1, channels, rows, block, columns, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(*lead, channels * block * block, rows, columns)


def _to_space(x: torch.Tensor, block: int) -> torch.Tensor:
    *lead, channels, height, width = x.shape
    if channels % (block * block):
        raise ValueError(f"{channels} channels are no multiple of {block * block}")
    inner = channels // (block * block)
    parts = x.reshape(-1, block, block, inner, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(*lead, inner, height * block, width * block)
