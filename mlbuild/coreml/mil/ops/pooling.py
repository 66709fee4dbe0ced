"""Average, maximum and L2 pooling in one, two or three dimensions.

Source: coremltools MIL op docs, iOS15 pool; what an average over the edge of ceil_mode is divided
by, from the answers of Core ML that github.com/apple/coremltools issues 2772 and 2844 quote.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..operator import Ints, Tensor, operator
from ..windows import torch_pad, window_padding

_AVERAGES = {3: functional.avg_pool1d, 4: functional.avg_pool2d, 5: functional.avg_pool3d}
_MAXIMA = {3: functional.max_pool1d, 4: functional.max_pool2d, 5: functional.max_pool3d}


def _pad(
    x: Tensor,
    kernel: list[int],
    strides: list[int],
    pad_type: str,
    pad: list[int] | None,
    ceil_mode: bool,
    fill: float,
) -> Tensor:
    """Pad, with what ceil_mode needs at the end: it counts as padding, unlike torch's."""
    sizes = [int(n) for n in x.shape[2:]]
    pairs = window_padding(pad_type, pad, sizes, kernel, strides, [1] * len(sizes))
    beyond = [0] * len(sizes)
    if ceil_mode and pad_type in ("valid", "custom"):
        for i, (before, after) in enumerate(pairs):
            span = sizes[i] + before + after - kernel[i]
            windows = -(-span // strides[i]) + 1
            if (windows - 1) * strides[i] >= sizes[i] + before:
                windows -= 1  # the last window would start in the padding
            beyond[i] = max((windows - 1) * strides[i] - span, 0)
        pairs = [(b, a + extra) for (b, a), extra in zip(pairs, beyond, strict=True)]
    if any(n for pair in pairs for n in pair):
        x = functional.pad(x, torch_pad(pairs), value=fill)
    return x


def _mean(
    x: Tensor,
    kernel: list[int],
    strides: list[int],
    pad_type: str,
    pad: list[int] | None,
    ceil_mode: bool,
    exclude: bool,
) -> Tensor:
    padded = _pad(x, kernel, strides, pad_type, pad, ceil_mode, 0.0)
    mean = _AVERAGES[x.dim()](padded, kernel, strides)
    if padded is x or not exclude:
        return mean
    counted = torch.ones([1, 1, *x.shape[2:]])
    counted = _pad(counted, kernel, strides, pad_type, pad, ceil_mode, 0.0)
    return mean / _AVERAGES[x.dim()](counted, kernel, strides)


@operator("avg_pool")
def avg_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """Mean of each window of x, which is [n, C, *D]."""
    strides = strides or [1] * len(kernel_sizes)
    return _mean(x, kernel_sizes, strides, pad_type, pad, ceil_mode, exclude_padding_from_average)


@operator("max_pool", exact=True)
def max_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Largest element of each window of x, which is [n, C, *D]; padding never wins."""
    strides = strides or [1] * len(kernel_sizes)
    lowest = float("-inf")
    padded = _pad(x, kernel_sizes, strides, pad_type, pad, ceil_mode, lowest)
    return _MAXIMA[x.dim()](padded, kernel_sizes, strides)


@operator("l2_pool")
def l2_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Square root of the sum of squares of each window of x, which is [n, C, *D]."""
    strides = strides or [1] * len(kernel_sizes)
    count = 1
    for size in kernel_sizes:
        count *= size
    padded = _pad(x * x, kernel_sizes, strides, pad_type, pad, ceil_mode, 0.0)
    return torch.sqrt(_AVERAGES[x.dim()](padded, kernel_sizes, strides) * count)
