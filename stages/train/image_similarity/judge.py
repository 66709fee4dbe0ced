"""Retrieval: pictures that are not in the set ask it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._shared.problem.problem import Problem
from ..._shared.vision_training import parts
from .features import Pictures
from .projection import apply, fit

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class Verdict:
    """Of each question, at which rank its label first came, and its average precision."""

    how: str
    first: np.ndarray  # [Q], from 1
    precision: np.ndarray  # [Q]

    def recall(self, rank: int) -> np.ndarray:
        """Which questions were answered within so many."""
        return self.first <= rank


def judge(images: Pictures, test: Pictures | None, params: Any) -> Verdict | None:
    """Ask; None where there are no labels.

    Raises:
        Problem: a label has too few pictures.
    """
    if not images.labelled:
        return None
    if test is not None:
        unknown = sorted({str(x) for x in test.labels} - {str(x) for x in images.labels})
        if unknown or not test.labelled:
            told = f"label '{unknown[0]}', which 'images' has not" if unknown else "no labels"
            raise Problem(f"input 'test' has {told}")
        projection = fit(images.features, images.labels, params)
        asked = apply(projection, test.features) @ apply(projection, images.features).T
        return Verdict("the test input", *_ranks(asked, test.labels, images.labels))
    return _folds(images, params)


def _folds(images: Pictures, params: Any) -> Verdict:
    names = sorted({str(label) for label in images.labels})
    truth = np.array([names.index(str(label)) for label in images.labels])
    count = parts.smallest_class(truth, images.content)
    if count < 2:
        small = min(names, key=lambda n: (images.labels.count(n), n))
        raise Problem(
            f"retrieval needs two different pictures of each label: '{small}' has one",
            hint="add pictures, or give the input 'test'",
        )
    count = min(count, params.folds)
    first, precision = np.zeros(len(truth)), np.zeros(len(truth))
    for learn, ask in parts.folds(truth, images.content, count, params.seed):
        labels = [images.labels[i] for i in learn]
        projection = fit(images.features[learn], labels, params)
        asked = (
            apply(projection, images.features[ask]) @ apply(projection, images.features[learn]).T
        )
        first[ask], precision[ask] = _ranks(asked, [images.labels[i] for i in ask], labels)
    return Verdict(f"{count} folds", first, precision)


def _ranks(
    likeness: np.ndarray, asked: list[str | None], known: list[str | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of the first right one, and average precision, of each question: [Q, R] -> [Q]."""
    names = np.array([str(label) for label in known])
    first, precision = [], []
    for row, label in zip(likeness, asked, strict=True):
        right = names[np.argsort(-row, kind="stable")] == str(label)
        places = np.flatnonzero(right) + 1
        first.append(places[0])
        precision.append(float((np.arange(1, len(places) + 1) / places).mean()))
    return np.array(first), np.array(precision)


def found_again(images: Pictures, params: Any) -> np.ndarray | None:
    """Which pictures are the nearest to their own closer view; None where labels are known."""
    if images.closer is None:
        return None
    projection = fit(images.features, images.labels, params)
    likeness = apply(projection, images.closer) @ apply(projection, images.features).T
    content = np.array(images.content)  # of identical files either is right
    return content[likeness.argmax(axis=1)] == content
