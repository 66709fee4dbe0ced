"""A net in Caffe's format: a small LeNet, learnt from scikit-learn's digits with torch.

Caffe itself can be installed nowhere any more. Its files are simple: a net's description in text,
and a protobuf message of weights.

Source: caffe.proto: NetParameter (name 1, layer 100), LayerParameter (name 1, type 2, bottom 3,
top 4, blobs 7), BlobProto (data 5, shape 7), BlobShape (dim 1).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

SIDE, SCALE = 28, 0.00390625  # 1/256, as in Caffe's own LeNet
_NET = """name: "LeNet"
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape: {{ dim: 1 dim: 1 dim: {side} dim: {side} }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: {first} kernel_size: 5 stride: 1 }} }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param {{ num_output: {second} kernel_size: 5 stride: 1 }} }}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
  inner_product_param {{ num_output: {dense} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param {{ num_output: 10 }} }}
layer {{ name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }}
"""


def run(job: Any) -> None:
    """Learn, write the net, give out digits that were not learnt."""
    pictures, labels = _digits()
    learn, ask = _parts(len(labels), job.params.seed)
    sizes = {"first": 8, "second": 16, "dense": 64}
    net = _network(**sizes)
    _learn(job, net, pictures[learn], labels[learn])
    with torch.no_grad():
        said = net(pictures[ask]).argmax(dim=1)
    right = (said == labels[ask]).float().mean().item()
    job.metric("accuracy", right, n=len(ask))
    folder: Path = job.outputs["net"]
    folder.mkdir(parents=True)
    (folder / "deploy.prototxt").write_text(_NET.format(side=SIDE, **sizes), "utf-8")
    (folder / "lenet.caffemodel").write_bytes(_weights(net))
    (folder / "labels.txt").write_text("".join(f"{n}\n" for n in range(10)), "utf-8")
    for place in ask[: job.params.samples].tolist():
        file = job.outputs["samples"] / str(labels[place].item()) / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = (pictures[place, 0] / SCALE).round().to(torch.uint8).numpy()
        Image.fromarray(pixels).save(file)


def _digits() -> tuple[torch.Tensor, torch.Tensor]:
    found = load_digits()
    small = [Image.fromarray((d * 255 / 16).astype(np.uint8)) for d in found.images]
    grown = np.stack([np.asarray(p.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for p in small])
    return torch.from_numpy(grown[:, None] * np.float32(SCALE)), torch.from_numpy(found.target)


def _parts(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held = count // 5
    return order[held:], order[:held]


def _network(first: int, second: int, dense: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, first, 5), nn.MaxPool2d(2), nn.Conv2d(first, second, 5), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(second * 16, dense), nn.ReLU(), nn.Linear(dense, 10),
    )  # fmt: skip


def _learn(job: Any, net: nn.Module, pictures: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    shuffle = torch.Generator().manual_seed(job.params.seed)
    for epoch in range(job.params.epochs):
        job.progress(epoch, job.params.epochs, f"epoch {epoch + 1}")
        for batch in torch.randperm(len(labels), generator=shuffle).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(pictures[batch]), labels[batch]).backward()
            optimizer.step()


def _weights(net: nn.Sequential) -> bytes:
    named = {0: ("conv1", "Convolution"), 2: ("conv2", "Convolution"),
             5: ("ip1", "InnerProduct"), 7: ("ip2", "InnerProduct")}  # fmt: skip
    message = _text(1, "LeNet")
    for place, (name, kind) in named.items():
        layer = net[place]
        blobs = b"".join(_field(7, _blob(p)) for p in (layer.weight, layer.bias))
        message += _field(100, _text(1, name) + _text(2, kind) + blobs)
    return message


def _blob(parameter: torch.Tensor) -> bytes:
    values = parameter.detach().numpy().astype("<f4")
    shape = b"".join(_varint(size) for size in values.shape)
    return _field(5, values.tobytes()) + _field(7, _field(1, shape))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, data: bytes) -> bytes:
    """A field of known length; floats and sizes are packed."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += struct.pack("B", value & 127 | 128)
        value >>= 7
    return found + struct.pack("B", value)
