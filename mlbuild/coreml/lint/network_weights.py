"""Weights of networks: what is not finite, what float16 cannot hold, quantization without a use.

Source: Core ML specification, NeuralNetwork.proto: WeightParams, QuantizationParams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..nn.weights import read_weight
from ..outline import network_weights
from .finding import Finding
from .numbers import HIGHEST

_TINY = 64  # bytes; a bias of a few elements is not worth a word


def weights_of(spec: Any) -> Iterator[Finding]:
    """Findings about the weights of a network, or of all networks of a pipeline."""
    for layer, path, weight in network_weights(spec):
        place = f"weight {path} of '{layer.name}', {layer.WhichOneof('layer')}"
        kind = weight.quantization.WhichOneof("QuantizationType")
        if kind is None:
            if not weight.rawValue and not weight.int8RawValue:
                yield from _outside(place, read_weight(weight, (-1,), place))
            continue
        yield from _growing(place, weight, kind)
        if kind == "linearQuantization":
            yield from _uncalibrated(place, weight.quantization.linearQuantization)
        elif weight.rawValue:
            yield from _unused(place, weight)


def _outside(place: str, value: torch.Tensor) -> Iterator[Finding]:
    broken = int((~value.isfinite()).sum())
    if broken:
        yield Finding(
            "error", "constant-nan", place, f"{broken} of {value.numel()} elements are not finite",
            "the source's weights are broken: look at them before converting",
        )  # fmt: skip
    high = value[value.isfinite() & (value.abs() > HIGHEST)].abs()
    if high.numel():
        yield Finding(
            "note",
            "constant-outside-float16",
            place,
            f"{high.numel()} of {value.numel()} elements lie beyond 65504, up to "
            f"{float(high.max()):.4g}",
            "scale the weights in the source, or run the model on the CPU alone",
        )


def _growing(place: str, weight: Any, kind: str) -> Iterator[Finding]:
    bits = int(weight.quantization.numberOfBits) or 8
    codes = len(weight.rawValue) or len(weight.int8RawValue)
    table = getattr(weight.quantization, kind)
    stored = codes + 4 * sum(len(values) for _, values in table.ListFields())
    plain = 2 * (codes * 8 // bits)
    if stored >= plain and plain > _TINY:
        yield Finding(
            "warning",
            "compression-grows",
            place,
            f"{stored} bytes, {plain} would do in float16",
            "leave this layer out of the quantization (a selector of quantize_weights)",
        )


def _uncalibrated(place: str, linear: Any) -> Iterator[Finding]:
    if linear.scale and all(s == 1 for s in linear.scale) and not any(linear.bias):
        yield Finding(
            "warning", "scale-of-one", place, "every scale is 1: nothing was calibrated",
            "quantize anew; weights are seldom integers",
        )  # fmt: skip


def _unused(place: str, weight: Any) -> Iterator[Finding]:
    entries = len(weight.quantization.lookupTableQuantization.floatValue)
    used = len(torch.unique(read_weight(weight, (-1,), place)))
    if used < entries:
        yield Finding(
            "note",
            "palette-not-used",
            place,
            f"{used} of the {entries} entries are used",
            f"as many bits as {used} entries need are enough",
        )
