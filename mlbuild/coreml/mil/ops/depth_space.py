"""Moving elements between channels, batch and space.

Source: coremltools MIL op docs, iOS15 tensor_transformation (depth_to_space, space_to_depth,
pixel_shuffle, space_to_batch, batch_to_space), iOS16 (pixel_unshuffle).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..operator import Ints, Tensor, operator


@operator("depth_to_space", exact=True)
def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """[n, C, H, W] to [n, C / b^2, H b, W b]; the block is the slower part of the channel."""
    n, c, h, w = x.shape
    b = block_size
    blocks = x.reshape(n, b, b, c // (b * b), h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


@operator("space_to_depth", exact=True)
def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """[n, C, H, W] to [n, C b^2, H / b, W / b]; the block is the slower part of the channel."""
    n, c, h, w = x.shape
    b = block_size
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


@operator("pixel_shuffle", exact=True)
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """[n, C f^2, H, W] to [n, C, H f, W f]; the block is the faster part of the channel."""
    return functional.pixel_shuffle(x, upscale_factor)


@operator("pixel_unshuffle", since="iOS16", exact=True)
def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """[n, C, H f, W f] to [n, C f^2, H, W], as torch does."""
    return functional.pixel_unshuffle(x, downscale_factor)


@operator("space_to_batch", exact=True)
def space_to_batch(x: Tensor, block_shape: Ints, paddings: Ints) -> Tensor:
    """Pad, then move blocks of space into the batch; x is [n, C, H, W]."""
    top, bottom, left, right = paddings
    x = functional.pad(x, [left, right, top, bottom])
    n, c, h, w = x.shape
    bh, bw = block_shape
    blocks = x.reshape(n, c, h // bh, bh, w // bw, bw)
    return blocks.permute(3, 5, 0, 1, 2, 4).reshape(n * bh * bw, c, h // bh, w // bw)


@operator("batch_to_space", exact=True)
def batch_to_space(x: Tensor, block_shape: Ints, crops: Ints) -> Tensor:
    """Move blocks of the batch into space, then crop; x is [n, C, H, W]."""
    n, c, h, w = x.shape
    bh, bw = block_shape
    blocks = x.reshape(bh, bw, n // (bh * bw), c, h, w)
    whole = blocks.permute(2, 3, 4, 0, 5, 1).reshape(n // (bh * bw), c, h * bh, w * bw)
    top, bottom, left, right = crops
    return whole[:, :, top : h * bh - bottom, left : w * bw - right]


@operator("sliding_windows", exact=True)
def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    """All windows along an axis; their elements become the dimension behind it."""
    axis %= x.dim()
    return torch.movedim(x.unfold(axis, size, stride), -1, axis + 1)
