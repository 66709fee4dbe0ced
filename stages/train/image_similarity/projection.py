"""What is done to features before they are compared: a linear map, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize

from ..._shared.problem.problem import Problem


@dataclass(frozen=True)
class Projection:
    """``features @ weight.T + bias``, [F] -> [D]."""

    weight: np.ndarray
    bias: np.ndarray


def fit(features: np.ndarray, labels: Sequence[str | None], params: Any) -> Projection | None:
    """The projection that the parameters ask for; None for none.

    Args:
        features: shape [N, F].
        labels: of each picture.
        params: projection, dimensions, epochs, learning_rate, temperature and seed of the kind.

    Raises:
        Problem: there are too few pictures or labels.
    """
    if params.projection == "none":
        return None
    start = _principal(features, params.dimensions)
    if params.projection == "pca":
        return start
    names = sorted({label for label in labels if label is not None})
    if len(names) < 2:
        raise Problem("projection: learned needs pictures of at least two labels")
    truth = np.array([names.index(str(label)) for label in labels])
    return _learned(features, truth, len(names), start, params)


def apply(projection: Projection | None, features: np.ndarray) -> np.ndarray:
    """Embeddings of length 1, [N, F] -> [N, D], as the network computes them."""
    rows = features.astype(np.float64)
    if projection is not None:
        rows = rows @ projection.weight.T + projection.bias
    rows = rows / 16.0
    return rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True) + 1e-6)


def _principal(features: np.ndarray, dimensions: int) -> Projection:
    rows = features.astype(np.float64)
    mean = rows.mean(axis=0)
    if len(rows) < 3:
        raise Problem(f"projection: {len(rows)} pictures are too few")
    _, _, axes = np.linalg.svd(rows - mean, full_matrices=False)
    # The sign of an axis is arbitrary: the largest share points up.
    axes = axes[: min(dimensions, len(rows) - 1, rows.shape[1])]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return Projection(axes, -axes @ mean)


def _learned(
    features: np.ndarray, truth: np.ndarray, classes: int, start: Projection, params: Any
) -> Projection:
    """Normalized softmax: each label has a point, and pictures move to the point of theirs.

    Source: Zhai and Wu, "Classification is a strong baseline for deep metric learning" (2019).
    """
    generator = torch.Generator().manual_seed(params.seed)
    rows = torch.from_numpy(features.astype(np.float64))
    wanted = torch.from_numpy(truth)
    size = float(np.linalg.norm(features @ start.weight.T + start.bias, axis=1).mean()) + 1e-12
    weight = torch.tensor(start.weight / size, requires_grad=True)
    bias = torch.tensor(start.bias / size, requires_grad=True)
    first = normalize(rows @ weight.detach().T + bias.detach(), dim=1)
    means = torch.stack([first[wanted == k].mean(dim=0) for k in range(classes)])
    noise = torch.randn(means.shape, generator=generator, dtype=means.dtype)
    points = (means + 1e-3 * noise).requires_grad_()
    optimizer = torch.optim.AdamW(
        [weight, bias, points], lr=params.learning_rate, weight_decay=1e-2
    )
    for _ in range(params.epochs):
        embedded = normalize(rows @ weight.T + bias, dim=1)
        logits = embedded @ normalize(points, dim=1).T / params.temperature
        loss = cross_entropy(logits, wanted)
        if not torch.isfinite(loss):
            raise Problem("training diverged: the loss is not a number", hint="lower learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    scale = size  # back to the features' own size, where the network's epsilon means nothing
    return Projection(weight.detach().numpy() * scale, bias.detach().numpy() * scale)
