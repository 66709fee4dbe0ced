"""Random blobs: the distribution is that of the specification, the numbers are those of no device.

Source: Core ML specification, NeuralNetwork.proto: RandomNormalLikeLayerParams to
CategoricalDistributionLayerParams. A seed of 0 or more makes a generator of the layer's own, which
begins anew with each prediction; without one the model's generator is drawn from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ...errors import ModelFileError
from ..checks import arity, checked_shape, integers
from ..layer import Given, Run, layer

Draw = Callable[[Sequence[int], torch.Generator | None], torch.Tensor]


def _generator(given: Given) -> torch.Generator | None:
    seed = given.params.seed
    around = given.around
    return around.seeded(given.place, seed) if seed >= 0 else around.generator


def _filler(given: Given, draw: Draw) -> Run:
    """A run that draws a blob: in the shape of an input, in that which it names, or in a fixed."""
    kind = given.message.WhichOneof("layer")

    def make(shape: Sequence[int]) -> torch.Tensor:
        return draw(checked_shape(given, shape), _generator(given))

    if kind.endswith("Like"):
        arity(given, 1)
        return lambda x: make(x.shape)
    if kind.endswith("Dynamic"):
        arity(given, 1)
        return lambda x: make(integers(given, x))
    arity(given, 0)
    fixed = list(given.params.outputShape)
    return lambda: make(fixed)


@layer("randomNormalLike", "randomNormalStatic", "randomNormalDynamic")
def random_normal(given: Given) -> Run:
    """Normally distributed."""
    mean, deviation = given.params.mean, given.params.stdDev
    return _filler(given, lambda shape, g: torch.randn(shape, generator=g) * deviation + mean)


@layer("randomUniformLike", "randomUniformStatic", "randomUniformDynamic")
def random_uniform(given: Given) -> Run:
    """Uniform in [minVal, maxVal); minVal itself where both are equal."""
    low, high = given.params.minVal, given.params.maxVal
    below = torch.nextafter(torch.tensor(high), torch.tensor(-torch.inf)).item()

    def draw(shape: Sequence[int], generator: torch.Generator | None) -> torch.Tensor:
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
        values = (drawn * (high - low) + low).float()
        # Rounding must not reach the end that does not belong to it.
        return values.clamp(max=below) if high > low else values

    return _filler(given, draw)


@layer("randomBernoulliLike", "randomBernoulliStatic", "randomBernoulliDynamic")
def random_bernoulli(given: Given) -> Run:
    """1 with the given probability, else 0."""
    share = given.params.prob

    def draw(shape: Sequence[int], generator: torch.Generator | None) -> torch.Tensor:
        return (torch.rand(shape, generator=generator, dtype=torch.float64) < share).float()

    return _filler(given, draw)


@layer("categoricalDistribution")
def categorical_distribution(given: Given) -> Run:
    """Indices drawn from the distributions along the last dimension: [..., numSamples].

    An ``eps`` or ``temperature`` that is not set, which reads as 0, stands for its default.
    """
    arity(given, 1)
    params = given.params
    tiny, heat, count = params.eps or 1e-10, params.temperature or 1.0, params.numSamples
    if count < 1 or heat < 0 or tiny < 0:
        raise ModelFileError(
            "a distribution that cannot be drawn from",
            place=given.place,
            got=f"{count} samples, temperature {heat}, eps {tiny}",
        )

    def run(x: torch.Tensor) -> torch.Tensor:
        checked_shape(given, [*x.shape[:-1], count])
        logits = x.double() if params.isLogits else torch.log(x.double() + tiny)
        shares = torch.softmax(logits / heat, -1).reshape(-1, x.shape[-1])
        drawn = torch.multinomial(shares, count, True, generator=_generator(given))
        return drawn.reshape([*x.shape[:-1], count]).float()

    return run
