"""A small GPT: causal self-attention over a cache of keys and values, which Core ML keeps as state.

Source: Radford et al., Language models are unsupervised multitask learners, 2019 (normalisation in
front of each part, learnt places, tied embedding); coremltools documentation, Stateful Models.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_HIDDEN = -1e4  # added to scores of what is not to be seen: far below, and within float16


class Block(nn.Module):
    """Attention, then a perceptron, each added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.before_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.before_dense = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values, shapes [..., n, width] -> [..., heads, n, size] each."""
        parts = self.projections(self.before_attention(x))
        parts = parts.unflatten(-1, (3, self.heads, self.size))
        queries, keys, values = parts.unbind(-3)
        return queries.transpose(-3, -2), keys.transpose(-3, -2), values.transpose(-3, -2)

    def finish(
        self,
        x: torch.Tensor,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        hidden: torch.Tensor,
    ) -> torch.Tensor:
        """What attention finds, and what the perceptron makes of it.

        Args:
            x: [..., n, width].
            queries: [..., heads, n, size].
            keys: [..., heads, m, size].
            values: [..., heads, m, size].
            hidden: [n, m]: added to the scores.
        """
        scores = torch.matmul(queries, keys.transpose(-2, -1)) * (1 / math.sqrt(self.size))
        weights = self.dropout(torch.softmax(scores + hidden, dim=-1))
        found = torch.matmul(weights, values).transpose(-3, -2).flatten(-2)
        x = x + self.dropout(self.attended(found))
        dense = self.narrow(functional.gelu(self.wide(self.before_dense(x))))
        return x + self.dropout(dense)


class GeneratorNet(nn.Module):
    """Logits of the next token after each one.

    Called with ids and the place of the first of them, it reads and extends the cache, in the two
    buffers ``keys`` and ``values``: [layers, heads, context, size]. Tokens that only fill a batch
    do no harm: what they leave lies behind all that is asked, and is overwritten when its place
    comes.
    """

    def __init__(
        self, vocabulary: int, context: int, width: int, heads: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.context = context
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(context, width)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.last = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=0.02)
        for block in self.blocks:
            for layer in (block.attended, block.narrow):
                nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * layers))
        shape = cache_shape(context, width, heads, layers)
        self.register_buffer("keys", torch.zeros(shape), persistent=False)
        self.register_buffer("values", torch.zeros(shape), persistent=False)
        order = torch.arange(context, dtype=torch.int32)
        self.register_buffer("order", order, persistent=False)

    def learn(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of whole texts, without the cache, shapes [N, n] -> [N, n, vocabulary]."""
        n = ids.shape[1]
        x = self.dropout(self.tokens(ids) + self.places.weight[:n])
        hidden = torch.full((n, n), _HIDDEN).triu(1)
        for block in self.blocks:
            x = block.finish(x, *block.split(x), hidden)
        return self._logits(x)

    def forward(self, ids: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        """Logits of some tokens after those in the cache.

        Args:
            ids: int32 [1, n].
            position: int32 [1]: the place of the first one.

        Returns:
            [1, n, vocabulary].
        """
        n = ids.shape[1]
        at = position + self.order[:n]
        # Places beyond the context exist in no row: what would be written there goes nowhere.
        write = (self.order.unsqueeze(1) == at.unsqueeze(0)).to(torch.float32)
        keep = 1.0 - write.sum(dim=1, keepdim=True)
        hidden = (self.order.unsqueeze(0) > at.unsqueeze(1)).to(torch.float32) * _HIDDEN
        # Not a look-up: holding its index within the context would be done in float16.
        x = self.tokens(ids)[0] + torch.matmul(write.t(), self.places.weight)
        all_keys, all_values = [], []
        for place, block in enumerate(self.blocks):
            queries, keys, values = block.split(x)
            keys = self.keys[place] * keep + torch.matmul(write, _as_kept(keys))
            values = self.values[place] * keep + torch.matmul(write, _as_kept(values))
            all_keys.append(keys)
            all_values.append(values)
            x = block.finish(x, queries, keys, values, hidden)
        self.keys[:] = torch.stack(all_keys)
        self.values[:] = torch.stack(all_values)
        return self._logits(x).unsqueeze(0)

    def forget(self) -> None:
        """Empty the cache."""
        self.keys.zero_()
        self.values.zero_()

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(self.last(x), self.tokens.weight)


def cache_shape(context: int, width: int, heads: int, layers: int) -> tuple[int, ...]:
    """Of the keys, and of the values."""
    return (layers, heads, context, width // heads)


def _as_kept(x: torch.Tensor) -> torch.Tensor:
    """Rounded as the state will be, so that a text read at once and step by step is the same."""
    return x.to(torch.float16).to(torch.float32)


def _generator(
    classes: int,
    vocabulary: int,
    context: int = 128,
    width: int = 128,
    heads: int = 4,
    layers: int = 4,
    dropout: float = 0.1,
) -> nn.Module:
    del classes  # it has no labels
    return GeneratorNet(vocabulary, context, width, heads, layers, dropout)


BUILDERS: dict[str, Callable[..., Any]] = {"generator-gpt": _generator}
