"""Elementwise layers over any number of blobs, and the dot product of two.

Source: Core ML specification, NeuralNetwork.proto, AddLayerParams, MultiplyLayerParams,
AverageLayerParams, MaxLayerParams, MinLayerParams and DotProductLayerParams.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch

from ..checks import arity
from ..layer import Given, Run, layer

Pairwise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _over_all(function: Pairwise) -> Run:
    return lambda *blobs: reduce(function, blobs)


@layer("add")
def add(given: Given) -> Run:
    """The sum of all inputs; of the only one and a constant."""
    arity(given, 1, -1)
    alpha = given.params.alpha
    return (lambda x: x + alpha) if len(given.message.input) == 1 else _over_all(torch.add)


@layer("multiply")
def multiply(given: Given) -> Run:
    """The product of all inputs; of the only one and a constant."""
    arity(given, 1, -1)
    alpha = given.params.alpha
    return (lambda x: x * alpha) if len(given.message.input) == 1 else _over_all(torch.mul)


@layer("average")
def average(given: Given) -> Run:
    """The mean of all inputs."""
    arity(given, 1, -1)
    return lambda *blobs: reduce(torch.add, blobs) / len(blobs)


@layer("max")
def maximum(given: Given) -> Run:
    """The largest of all inputs."""
    arity(given, 1, -1)
    return _over_all(torch.maximum)


@layer("min")
def minimum(given: Given) -> Run:
    """The smallest of all inputs."""
    arity(given, 1, -1)
    return _over_all(torch.minimum)


@layer("dot")
def dot(given: Given) -> Run:
    """The dot product along the channels, axis -3; of normalized vectors the cosine."""
    arity(given, 2)

    def run(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        product = (a * b).sum(-3, keepdim=True)
        if not given.params.cosineSimilarity:
            return product
        squares = a.square().sum(-3, keepdim=True) * b.square().sum(-3, keepdim=True)
        return product / torch.sqrt(squares)

    return run
