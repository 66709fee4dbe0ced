"""Padding of sliding windows, shared by convolution and pooling.

Source: coremltools MIL op docs, iOS15 conv and pool (pad_type, pad, ceil_mode).
"""

from __future__ import annotations

PAD_TYPES = ("valid", "custom", "same", "same_lower")


def window_padding(
    pad_type: str,
    pad: list[int] | None,
    sizes: list[int],
    kernel: list[int],
    strides: list[int],
    dilations: list[int],
) -> list[tuple[int, int]]:
    """Elements to add before and after each spatial dimension.

    ``same`` makes ceil(size / stride) windows; an odd element goes behind, with ``same_lower``
    in front.
    """
    if pad_type == "valid":
        return [(0, 0)] * len(sizes)
    if pad_type == "custom":
        flat = pad if pad is not None else [0] * (2 * len(sizes))
        if len(flat) != 2 * len(sizes):
            raise ValueError(f"pad has {len(flat)} elements, {2 * len(sizes)} were expected")
        return list(zip(flat[0::2], flat[1::2], strict=True))
    if pad_type not in PAD_TYPES:
        raise ValueError(f"unknown pad_type {pad_type}")
    result = []
    for size, k, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        windows = -(-size // stride)
        total = max((windows - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        result.append((more, less) if pad_type == "same_lower" else (less, more))
    return result


def torch_pad(pairs: list[tuple[int, int]]) -> list[int]:
    """The same padding as torch.nn.functional.pad wants it: last dimension first."""
    return [n for pair in reversed(pairs) for n in pair]
