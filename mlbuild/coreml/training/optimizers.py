"""The two optimizers of updatable models.

Source: Core ML specification, NeuralNetwork.proto, SGDOptimizer and AdamOptimizer, which name the
parameters; the formulas are those of Qian, On the momentum term in gradient descent learning
algorithms (1999), and of Kingma and Ba, Adam (2015), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .parameters import Parameters

Step = Callable[[Sequence[torch.Tensor]], None]


def make_optimizer(weights: Sequence[torch.Tensor], parameters: Parameters) -> Step:
    """A function that changes the weights in place by one gradient for each."""
    if parameters.optimizer == "adam":
        return _adam(weights, **_named(parameters, "learningRate", "beta1", "beta2", "eps"))
    return _sgd(weights, **_named(parameters, "learningRate", "momentum"))


def _named(parameters: Parameters, *names: str) -> dict[str, float]:
    return {"rate" if n == "learningRate" else n: parameters.numbers[n] for n in names}


def _sgd(weights: Sequence[torch.Tensor], rate: float, momentum: float) -> Step:
    """V <- momentum v + g; w <- w - rate v."""
    velocities = [torch.zeros_like(w) for w in weights]

    def step(gradients: Sequence[torch.Tensor]) -> None:
        with torch.no_grad():
            for weight, velocity, gradient in zip(weights, velocities, gradients, strict=True):
                velocity.mul_(momentum).add_(gradient)
                weight.sub_(rate * velocity)

    return step


def _adam(
    weights: Sequence[torch.Tensor], rate: float, beta1: float, beta2: float, eps: float
) -> Step:
    """Moving averages of the gradient and its square, both corrected for their start at zero."""
    first = [torch.zeros_like(w) for w in weights]
    second = [torch.zeros_like(w) for w in weights]
    count = 0

    def step(gradients: Sequence[torch.Tensor]) -> None:
        nonlocal count
        count += 1
        with torch.no_grad():
            for weight, m, v, gradient in zip(weights, first, second, gradients, strict=True):
                m.mul_(beta1).add_(gradient, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
                mean, square = m / (1 - beta1**count), v / (1 - beta2**count)
                weight.sub_(rate * mean / (square.sqrt() + eps))

    return step
