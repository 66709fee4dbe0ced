"""Normalization: by stored or computed moments, by length, by neighbouring channels; softmax.

Source: Core ML specification, NeuralNetwork.proto, BatchnormLayerParams,
MeanVarianceNormalizeLayerParams, L2NormalizeLayerParams, LRNLayerParams and SoftmaxLayerParams.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from ..checks import arity
from ..layer import Given, Run, layer

_CHW, _HW = (-3, -2, -1), (-2, -1)


@layer("batchnorm")
def batchnorm(given: Given) -> Run:
    """Shift and scale each channel, axis -3, by moments that are stored or those of the blob.

    Computed moments are those of each channel of each picture, or those of a channel over all
    pictures; the variance is divided by the number of elements.
    """
    arity(given, 1)
    params = given.params
    shape = (int(params.channels),)
    epsilon = params.epsilon or 1e-5
    gamma = given.weight("gamma", shape) if params.HasField("gamma") else torch.ones(shape)
    beta = given.weight("beta", shape) if params.HasField("beta") else torch.zeros(shape)
    if params.computeMeanVar:
        return _computed(gamma, beta, epsilon, bool(params.instanceNormalization))
    mean, variance = given.weight("mean", shape), given.weight("variance", shape)

    def run(x: torch.Tensor) -> torch.Tensor:
        factor = gamma / torch.sqrt(variance + epsilon)
        return (x - _column(mean)) * _column(factor) + _column(beta)

    return run


def _computed(gamma: torch.Tensor, beta: torch.Tensor, epsilon: float, instance: bool) -> Run:
    def run(x: torch.Tensor) -> torch.Tensor:
        over = _HW if instance else tuple(i for i in range(-x.dim(), 0) if i != -3)
        return _standardize(x, over, epsilon) * _column(gamma) + _column(beta)

    return run


@layer("mvn")
def mean_variance(given: Given) -> Run:
    """Subtract the mean, and divide by the deviation where that is asked for."""
    arity(given, 1)
    over = _CHW if given.params.acrossChannels else _HW
    epsilon = given.params.epsilon or 1e-6
    if given.params.normalizeVariance:
        return lambda x: _standardize(x, over, epsilon)
    return lambda x: x - x.mean(over, keepdim=True)


@layer("l2normalize")
def l2_normalize(given: Given) -> Run:
    """Divide by the length of each [C, H, W]."""
    arity(given, 1)
    epsilon = given.params.epsilon or 1e-6
    return lambda x: x / torch.sqrt(x.square().sum(_CHW, keepdim=True) + epsilon)


@layer("lrn")
def local_response(given: Given) -> Run:
    """Divide by a power of the mean square of neighbouring channels, axis -3."""
    arity(given, 1)
    params = given.params
    size, k = int(params.localSize), params.k or 1.0

    def run(x: torch.Tensor) -> torch.Tensor:
        images = x.reshape(-1, *x.shape[-3:])
        made = functional.local_response_norm(images, size, params.alpha, params.beta, k)
        return made.reshape(x.shape)

    return run


@layer("softmax")
def softmax(given: Given) -> Run:
    """Along the channels, axis -3."""
    arity(given, 1)
    return lambda x: torch.softmax(x, -3)


def _standardize(x: torch.Tensor, over: tuple[int, ...], epsilon: float) -> torch.Tensor:
    centred = x - x.mean(over, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(over, keepdim=True) + epsilon)


def _column(weight: torch.Tensor) -> torch.Tensor:
    """A weight [C] beside [C, H, W]."""
    return weight.reshape(-1, 1, 1)
