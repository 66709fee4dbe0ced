"""Embeddings of pictures, and the nearest of a set of reference pictures, in one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

DISTANCES = ("euclidean", "cosine")
_ENLARGED = 16.0


def unit(x: torch.Tensor) -> torch.Tensor:
    """Vectors of length 1, [N, D]."""
    # A thousand squares of features may overflow float16: scale before squaring.
    x = x * (1.0 / 16.0)
    return x * torch.rsqrt((x * x).sum(dim=1, keepdim=True) + 1e-6)


class Nearest(nn.Module):
    """A classifier's features, a linear map, and distances to stored embeddings."""

    def __init__(
        self,
        base: nn.Module,
        references: int,
        dimensions: int | None,
        neighbors: int,
        distance: str,
    ) -> None:
        super().__init__()
        base.head = nn.Identity()
        self.base, self.neighbors, self.distance = base, neighbors, distance
        self.projection = nn.Linear(base.width, dimensions) if dimensions else nn.Identity()
        self.register_buffer("references", torch.zeros(references, dimensions or base.width))
        self.register_buffer("labels", torch.zeros(references, dtype=torch.int64))

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings of length 1, [N, C, H, W] -> [N, D]."""
        return unit(self.projection(self.base.features(x)))

    def distances(self, embedding: torch.Tensor) -> torch.Tensor:
        """To each reference, [N, D] -> [N, R]."""
        # By differences: 1 less a product near 1 would keep no digit of a small distance. Small
        # squares would be lost in float16, so differences are enlarged before.
        apart = (self.references - embedding.unsqueeze(1)) * _ENLARGED
        squares = (apart * apart).sum(dim=2)
        if self.distance == "cosine":  # of unit vectors: |a - b|^2 = 2 (1 - a.b)
            return squares * (0.5 / _ENLARGED**2)
        return torch.sqrt(squares) * (1.0 / _ENLARGED)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Distances [N, R], the nearest references [N, k], their labels [N, k], embedding."""
        embedding = self.embed(x)
        distances = self.distances(embedding)
        nearest = torch.topk(distances, self.neighbors, dim=1, largest=False).indices
        return distances, nearest, self.labels[nearest], embedding

    def first_convolution(self) -> nn.Conv2d:
        """The layer that reads the pixels."""
        return self.base.first_convolution()


def builder(build: Callable[..., nn.Module]) -> dict[str, Callable[..., nn.Module]]:
    """The architectures of this file; ``build`` makes a classifier of name and arguments."""

    def nearest(
        classes: int,
        base: str,
        base_arguments: dict[str, Any],
        references: int,
        dimensions: int | None = None,
        neighbors: int = 5,
        distance: str = "euclidean",
    ) -> nn.Module:
        if distance not in DISTANCES:
            raise ValueError(f"distance is {distance!r}, allowed: {', '.join(DISTANCES)}")
        return Nearest(build(base, base_arguments, 2), references, dimensions, neighbors, distance)

    return {"nearest": nearest}
