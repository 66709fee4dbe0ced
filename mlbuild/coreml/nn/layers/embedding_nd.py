"""Vectors looked up in a table.

Source: Core ML specification, NeuralNetwork.proto: EmbeddingNDLayerParams.
"""

from __future__ import annotations

import torch
from torch.nn.functional import embedding

from ...errors import ExecutionError
from ..checks import arity
from ..layer import Given, Run, layer


@layer("embeddingND")
def embedding_nd(given: Given) -> Run:
    """Columns of the weights, [size, vocabulary], for indices [..., 1]: [..., size]."""
    arity(given, 1)
    params = given.params
    words, size = params.vocabSize, params.embeddingSize
    weights = given.weight("weights", (size, words))
    bias = given.weight("bias", (size,)) if params.hasBias else None

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.dim() < 2 or x.shape[-1] != 1:
            raise ExecutionError(
                "indices of a wrong shape",
                place=given.place,
                got=str(list(x.shape)),
                allowed=("[..., 1] of two or more dimensions",),
            )
        indices = x[..., 0].long()
        if indices.numel() and not bool(((indices >= 0) & (indices < words)).all()):
            raise ExecutionError(
                "an index outside of the vocabulary",
                place=given.place,
                got=f"{int(indices.min())} to {int(indices.max())}",
                allowed=(f"0 to {words - 1}",),
            )
        found = embedding(indices, weights.t())
        return found if bias is None else found + bias

    return run
