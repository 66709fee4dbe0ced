"""Mini-batches, epochs and gradients.

Core ML does not publish how it adds up the losses of a mini-batch; here it is their mean, as the
learning rates of Apple's examples suggest. The last mini-batch of an epoch may be smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from .optimizers import make_optimizer
from .parameters import Parameters

LossOf = Callable[[Mapping[str, Any]], torch.Tensor]
Progress = Callable[[int, int, float], None]


def train(
    weights: Sequence[torch.Tensor],
    loss_of: LossOf,
    samples: Sequence[Mapping[str, Any]],
    parameters: Parameters,
    progress: Progress | None = None,
) -> list[list[float]]:
    """Change the weights in place.

    Args:
        weights: Leaf tensors that require a gradient.
        loss_of: The loss of one sample, a scalar that depends on the weights.
        samples: What to learn from.
        parameters: How.
        progress: Called after each mini-batch with its number from 1, their number, its loss.

    Returns:
        For each epoch the mean loss of each of its mini-batches, before its step.
    """
    step = make_optimizer(weights, parameters)
    size = parameters.mini_batch_size
    total = parameters.epochs * -(-len(samples) // size)
    history: list[list[float]] = []
    done = 0
    for order in _orders(len(samples), parameters):
        history.append([])
        for start in range(0, len(order), size):
            batch = [samples[i] for i in order[start : start + size]]
            history[-1].append(_learn(weights, loss_of, batch, step))
            done += 1
            if progress:
                progress(done, total, history[-1][-1])
    return history


def _learn(
    weights: Sequence[torch.Tensor],
    loss_of: LossOf,
    batch: Sequence[Mapping[str, Any]],
    step: Callable[[Sequence[torch.Tensor]], None],
) -> float:
    """One step down the mean gradient; a sample at a time, so that memory stays that of one."""
    mean = 0.0
    sums = [torch.zeros_like(w) for w in weights]
    for sample in batch:
        with torch.enable_grad():
            loss = loss_of(sample) / len(batch)
        mean += float(loss.detach())
        for total, gradient in zip(
            sums, torch.autograd.grad(loss, weights, allow_unused=True), strict=True
        ):
            if gradient is not None:
                total += gradient
    step(sums)
    return mean


def _orders(count: int, parameters: Parameters) -> Iterator[list[int]]:
    generator = torch.Generator()
    if parameters.seed is None:
        generator.seed()
    else:
        generator.manual_seed(parameters.seed)
    for _ in range(parameters.epochs):
        if parameters.shuffle:
            yield torch.randperm(count, generator=generator).tolist()
        else:
            yield list(range(count))
