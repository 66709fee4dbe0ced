"""The head of a classifier.

Source: coremltools MIL op docs, iOS15 classify.
"""

from __future__ import annotations

from typing import Any

from ..operator import Tensor, operator


@operator("classify", exact=True)
def classify(probabilities: Tensor, classes: Any) -> tuple[Any, dict[Any, float]]:
    """The label of the highest score, and all labels with their scores."""
    scores = probabilities.reshape(-1)
    labels = [c if isinstance(c, str) else int(c) for c in classes]
    if len(labels) != scores.numel():
        raise ValueError(f"{len(labels)} labels for {scores.numel()} scores")
    return labels[int(scores.argmax())], dict(zip(labels, scores.tolist(), strict=True))
