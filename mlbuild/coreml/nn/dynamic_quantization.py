"""Quantizing what a layer is given to int8, as it runs.

Source: Core ML specification, NeuralNetwork.proto, int8DynamicQuantize of
InnerProductLayerParams and BatchedMatMulLayerParams. The scale is not specified: here it is that
which maps the largest magnitude of the blob to 127.
"""

from __future__ import annotations

import torch


def as_int8(x: torch.Tensor) -> torch.Tensor:
    """A blob after a round trip through int8: multiples of one scale, -127 to 127 of them."""
    largest = float(x.detach().abs().max()) if x.numel() else 0.0
    scale = largest / 127 or 1.0
    return (x / scale).round() * scale
