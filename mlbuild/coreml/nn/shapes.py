"""From a feature's shape to that of the blob inside of the network, and back.

Source: Core ML specification, NeuralNetwork.proto, NeuralNetworkMultiArrayShapeMapping and
NeuralNetworkImageShapeMapping.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..description import Feature
from ..errors import InputError, ModelFileError

_RANK5, _EXACT = 0, 1
_RANK_KEEPING = ("activation", "unary", "scale", "bias", "add", "multiply", "batchnorm")
_RANKS = {1: "[C]", 3: "[C, H, W]"}


@dataclass(frozen=True, slots=True)
class ShapeMapping:
    """How a network maps the shapes of its features.

    Attributes:
        exact_arrays: Arrays keep their rank; else they become [S, B, C, H, W].
        rank4_images: Pictures become [1, C, H, W]; else [1, 1, C, H, W].
    """

    exact_arrays: bool
    rank4_images: bool

    def check(self, inputs: tuple[Feature, ...]) -> None:
        """Refuse inputs that have no place among five dimensions."""
        for feature in inputs:
            if self.exact_arrays or feature.array is None:
                continue
            if len(feature.array.shape) not in (1, 3, 5):
                raise ModelFileError(
                    "an array that is mapped to five dimensions has one or three",
                    place=f"input '{feature.name}'",
                    got=str(feature),
                    allowed=tuple(_RANKS.values()),
                )

    def to_blob(self, feature: Feature, value: Any) -> torch.Tensor:
        """An input in neutral form as a blob: float32."""
        if isinstance(value, bool | int | float):
            blob = torch.tensor([float(value)])
            return blob if self.exact_arrays else blob.reshape(1, 1, 1, 1, 1)
        if not isinstance(value, torch.Tensor):
            raise InputError(
                "a neural network takes arrays, pictures and numbers",
                place=f"input '{feature.name}'",
                got=feature.kind,
            )
        blob = value.to(torch.float32)
        if feature.image is not None:
            return blob if self.rank4_images else blob[None]
        if self.exact_arrays:
            return blob
        return blob.reshape(_five(feature, tuple(blob.shape)))


def read_mapping(network: Any) -> ShapeMapping:
    """The mapping that a NeuralNetwork message asks for."""
    return ShapeMapping(
        network.arrayInputShapeMapping == _EXACT, network.imageInputShapeMapping == _EXACT
    )


def flat_pictures(network: Any, pictures: Collection[str]) -> frozenset[str]:
    """The pictures that a network takes as [C, H, W], although they are mapped to [1, C, H, W].

    coremltools turns arrays [C, H, W] into pictures and leaves the layers as they were built. Core
    ML runs them; what gives it away here is a transpose of three axes, with nothing in between
    that changes the rank.
    """
    origin = {name: name for name in pictures}
    found = set()
    for layer in network.layers:
        kind = layer.WhichOneof("layer")
        sources = [origin[name] for name in layer.input if name in origin]
        if kind == "transpose" and len(layer.transpose.axes) == 3:
            found.update(sources)
        elif kind in _RANK_KEEPING and sources:
            origin.update(dict.fromkeys(layer.output, sources[0]))
    return frozenset(found)


def from_blob(feature: Feature, blob: torch.Tensor, exact: bool) -> Any:
    """A blob as an output in neutral form, in the declared shape where it has one."""
    if feature.image is not None:
        return _picture(feature, blob)
    if feature.kind in ("int64", "double"):
        if blob.numel() != 1:
            raise InputError(
                "a number was expected",
                place=f"output '{feature.name}'",
                got=f"a blob of shape {list(blob.shape)}",
            )
        return int(blob.item()) if feature.kind == "int64" else float(blob.item())
    shape = feature.array.shape if feature.array is not None else ()
    if not exact:
        blob = blob.reshape(_declared(feature, tuple(blob.shape)))
    elif shape and _without_ones(shape) == _without_ones(blob.shape):
        blob = blob.reshape(shape)  # dimensions of one element are as they are declared
    if feature.array is None:
        return blob
    return blob.to(getattr(torch, feature.array.dtype))


def _five(feature: Feature, shape: tuple[int, ...]) -> tuple[int, ...]:
    """[S, B, C, H, W] for an array that has these dimensions without some of the outer ones.

    An array that is declared as [C] may be given as [B, C] or [S, B, C], one declared as
    [C, H, W] as [B, C, H, W]; both as [S, B, C, H, W].
    """
    if len(shape) == 5:
        return shape
    vector = feature.array is not None and len(feature.array.shape) == 1
    if vector and len(shape) == 4 and shape[2:] == (1, 1):
        return (1, *shape)
    inner = 1 if vector else 3
    if inner <= len(shape) <= inner + 2:
        lead = (1,) * (inner + 2 - len(shape))
        return (*lead, *shape, *((1, 1) if vector else ()))
    raise InputError(
        "an array with a number of dimensions that the network cannot take",
        place=f"input '{feature.name}'",
        got=str(list(shape)),
        allowed=(_RANKS[inner], "[S, B, C, H, W]"),
    )


def _declared(feature: Feature, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A five-dimensional shape without the outer dimensions that the output does not declare.

    All five are given where a sequence or batch came out that the declaration cannot hold.
    """
    if len(shape) != 5:
        return shape
    rank = len(feature.array.shape) if feature.array is not None else 0
    sequence, batch, *inner = shape
    if rank == 1 and inner[1:] == [1, 1] and sequence == batch == 1:
        return (inner[0],)
    if rank in (0, 3) and sequence == batch == 1:
        return tuple(inner)
    return shape


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [int(n) for n in shape if n != 1]


def _picture(feature: Feature, blob: torch.Tensor) -> torch.Tensor:
    if blob.dim() < 3 or blob.numel() != blob[(0,) * (blob.dim() - 3)].numel():
        raise InputError(
            "a picture was expected, [C, H, W]",
            place=f"output '{feature.name}'",
            got=f"a blob of shape {list(blob.shape)}",
        )
    return blob.reshape(1, *blob.shape[-3:])
