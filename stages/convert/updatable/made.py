"""What the toolchains hand to the trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Made:
    """An updatable model.

    Attributes:
        spec: its specification.
        learns: "layers" or "neighbours".
        truth: the training input that holds the truth.
        labels: of a classifier.
        output: where its numbers stand: scores by label, or values.
        layers: names of those that learn.
        weights: how many numbers they hold.
        loss: "cross_entropy", "mean_squared_error", or "votes" of neighbours: the share of votes
            for other labels.
    """

    spec: Any
    learns: str
    truth: str
    labels: tuple[Any, ...]
    output: str
    layers: tuple[str, ...] = ()
    weights: int = 0
    loss: str = "votes"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cases:
    """Samples with their truths, and what the source answers.

    Attributes:
        inputs: by name, for the reference runtime.
        truths: a label or a list of numbers each.
        expected: probabilities in the order of labels, or values; [N, K]. A row of NaN is not
            compared: there the source itself could answer either way.
        given: whether they are somebody's own, not drawn.
    """

    inputs: Sequence[Mapping[str, Any]]
    truths: Sequence[Any]
    expected: Any
    given: bool
