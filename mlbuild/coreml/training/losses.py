"""The two losses of updatable models.

Source: Core ML specification, NeuralNetwork.proto, CategoricalCrossEntropyLossLayer and
MeanSquaredErrorLossLayer.
"""

from __future__ import annotations

import torch


def cross_entropy(logits: torch.Tensor, target: int) -> torch.Tensor:
    """- log softmax(logits)[target].

    Args:
        logits: What goes into the softmax, N elements in any shape.
        target: The index of the true class, 0 to N - 1.
    """
    return -torch.log_softmax(logits.reshape(-1), 0)[target]


def mean_squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The mean over all elements of (predicted - target) squared; both of the same size."""
    return (predicted.reshape(-1) - target.reshape(-1)).square().mean()
