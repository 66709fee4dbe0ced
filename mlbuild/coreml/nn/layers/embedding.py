"""The embedding layer of the first versions.

Source: Core ML specification, NeuralNetwork.proto, EmbeddingLayerParams.
"""

from __future__ import annotations

import torch

from ..checks import arity
from ..layer import Given, Run, layer


@layer("embedding")
def embedding(given: Given) -> Run:
    """Columns of weights [C_out, inputDim], chosen by a blob [..., 1, 1, 1]."""
    arity(given, 1)
    params = given.params
    outputs, inputs = int(params.outputChannels), int(params.inputDim)
    weights = given.weight("weights", (outputs, inputs))
    bias = given.weight("bias", (outputs,)) if params.hasBias else None

    def run(x: torch.Tensor) -> torch.Tensor:
        if x.dim() < 3 or x.shape[-3:].numel() != 1:
            raise ValueError(f"indexes [..., 1, 1, 1] are needed, not {list(x.shape)}")
        chosen = torch.nn.functional.embedding(x[..., 0, 0, 0].long(), weights.t())
        if bias is not None:
            chosen = chosen + bias
        return chosen[..., None, None]

    return run
