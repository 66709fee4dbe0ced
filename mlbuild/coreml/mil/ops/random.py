"""Random tensors.

The distribution is that of the specification; the numbers are not those of any device, which the
specification leaves open.

Source: coremltools MIL op docs, iOS15 random.
"""

from __future__ import annotations

import math

import torch

from ...limits import demand
from ..dtypes import ValueType
from ..operator import Declared, Generators, Ints, Tensor, operator

_WIDEST = 8  # bytes of an element while it is drawn; shapes may depend on data


@operator("random_bernoulli", exact=True)
def random_bernoulli(
    shape: Ints, generators: Generators, prob: float = 0.5, seed: int = -1
) -> Tensor:
    """1 with the given probability, else 0."""
    demand(math.prod(shape) * _WIDEST)
    drawn = torch.rand(shape, generator=generators(seed), dtype=torch.float64)
    return (drawn < prob).float()


@operator("random_categorical")
def random_categorical(
    x: Tensor, generators: Generators, mode: str = "logits", size: int = 1, seed: int = -1
) -> Tensor:
    """Indices drawn with replacement from distributions along the last dimension.

    Returns:
        [*D, size] for x [*D, n], as real numbers.
    """
    if mode == "logits":
        shares = torch.softmax(x.double(), -1)
    elif mode == "probs":
        shares = x.double()
    else:
        raise ValueError(f"unknown mode {mode}")
    flat = shares.reshape(-1, shares.shape[-1])
    demand(len(flat) * size * _WIDEST)
    drawn = torch.multinomial(flat, size, True, generator=generators(seed))
    return drawn.reshape([*x.shape[:-1], size]).float()


@operator("random_normal")
def random_normal(
    shape: Ints,
    generators: Generators,
    mean: float = 0.0,
    stddev: float = 1.0,
    seed: int = -1,
) -> Tensor:
    """Normally distributed."""
    demand(math.prod(shape) * _WIDEST)
    return torch.randn(shape, generator=generators(seed)) * stddev + mean


@operator("random_uniform", exact=True)
def random_uniform(
    shape: Ints,
    declared: Declared,
    generators: Generators,
    low: float = 0.0,
    high: float = 1.0,
    seed: int = -1,
) -> Tensor:
    """Uniform in [low, high); low itself where both are equal."""
    demand(math.prod(shape) * _WIDEST)
    drawn = torch.rand(shape, generator=generators(seed), dtype=torch.float64)
    target = _target(declared[0])
    values = (drawn * (high - low) + low).to(target)
    if high > low:  # rounding must not reach the end that does not belong to it
        end = torch.tensor(high, dtype=target)
        below = torch.nextafter(end, torch.full((), -torch.inf, dtype=target))
        values = torch.where(values >= high, below, values)
    return values.float()


def _target(declared: ValueType) -> torch.dtype:
    half = declared.dtype is not None and declared.dtype.name == "fp16"
    return torch.float16 if half else torch.float32
