"""Scaled dot-product attention.

Source: coremltools MIL op docs, iOS18 transformers.
"""

from __future__ import annotations

import math

import torch

from ..operator import Tensor, operator


@operator("scaled_dot_product_attention", since="iOS18")
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    """softmax(query key^T / sqrt(E) + mask) value; a boolean mask excludes where it is false."""
    scores = query @ key.mT / math.sqrt(int(query.shape[-1]))
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, float("-inf"))
        else:
            scores = scores + attn_mask
    return torch.softmax(scores, -1) @ value
