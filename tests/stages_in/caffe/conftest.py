"""Small Caffe nets with drawn weights, as files that Caffe would write."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NET = """name: "small"
layer { name: "data" type: "Input" top: "data"
  input_param { shape: { dim: 1 dim: CHANNELS dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 stride: 1 pad: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool1" top: "fc"
  inner_product_param { num_output: 3 } }
layer { name: "softmax" type: "Softmax" bottom: "fc" top: "prob" }
"""


def varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += struct.pack("B", value & 127 | 128)
        value >>= 7
    return found + struct.pack("B", value)


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(values: Any) -> bytes:
    array = np.asarray(values, dtype="<f4")
    return field(5, array.tobytes()) + field(7, field(1, b"".join(map(varint, array.shape))))


def weights(channels: int, seed: int = 0) -> bytes:
    random = np.random.RandomState(seed)
    message = field(1, b"small")
    shapes = {"conv1": ("Convolution", (4, channels, 3, 3)), "fc": ("InnerProduct", (3, 64))}
    for name, (kind, shape) in shapes.items():
        layer = field(1, name.encode()) + field(2, kind.encode())
        layer += field(7, blob(random.uniform(-1, 1, shape)))
        layer += field(7, blob(random.uniform(-1, 1, shape[0])))
        message += field(100, layer)
    return message


@pytest.fixture
def net(tmp_path: Path) -> Any:
    """``net(channels=3, text=NET) -> Path`` of a folder."""
    counter = iter(range(99))

    def write(channels: int = 3, text: str = NET, labels: tuple = (), mean: Any = None) -> Path:
        folder = tmp_path / f"net{next(counter)}"
        folder.mkdir()
        described = text.replace("CHANNELS", str(channels))
        (folder / "deploy.prototxt").write_text(described, encoding="utf-8")
        (folder / "small.caffemodel").write_bytes(weights(channels))
        if labels:
            (folder / "labels.txt").write_text("".join(f"{x}\n" for x in labels), encoding="utf-8")
        if mean is not None:
            (folder / "mean.binaryproto").write_bytes(blob(np.asarray(mean)[None]))
        return folder

    return write
