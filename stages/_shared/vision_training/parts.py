"""Which pictures are learnt and which are asked: stratified, identical files on one side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

Parts = tuple[np.ndarray, np.ndarray]  # indices to learn, indices to ask


def folds(truth: np.ndarray, content: Sequence[str], count: int, seed: int) -> Iterator[Parts]:
    """Stratified folds.

    Args:
        truth: shape [N], indices of labels.
        content: N digests; equal ones of a class go to the same fold.
        count: of folds, at most the number of different pictures of the smallest class.
        seed: of the shuffle.
    """
    place = _places(truth, content, seed) % count
    for fold in range(count):
        yield np.flatnonzero(place != fold), np.flatnonzero(place == fold)


def holdout(truth: np.ndarray, content: Sequence[str], share: float, seed: int) -> Parts:
    """One stratified split; each class gives at least one picture and keeps at least one."""
    places = _places(truth, content, seed)
    asked = np.zeros(len(truth), dtype=bool)
    for label in np.unique(truth):
        mine = truth == label
        groups = int(places[mine].max() - places[mine].min() + 1)
        take = min(max(1, round(groups * share)), groups - 1)
        asked[mine] = places[mine] - places[mine].min() < take
    return np.flatnonzero(~asked), np.flatnonzero(asked)


def smallest_class(truth: np.ndarray, content: Sequence[str]) -> int:
    """How many different pictures the smallest class has."""
    pairs = {(int(t), c) for t, c in zip(truth, content, strict=True)}
    return int(np.unique([t for t, _ in pairs], return_counts=True)[1].min())


def _places(truth: np.ndarray, content: Sequence[str], seed: int) -> np.ndarray:
    """A running number for each group of identical pictures, class after class, shuffled."""
    random = np.random.default_rng(seed)
    places = np.zeros(len(truth), dtype=np.int64)
    taken: dict[str, int] = {}  # a file that has two labels stays in one place all the same
    start = 0
    for label in np.unique(truth):
        mine = np.flatnonzero(truth == label)
        groups = sorted({content[i] for i in mine})
        order = random.permutation(len(groups))
        place = {group: start + int(order[n]) for n, group in enumerate(groups)}
        for i in mine:
            places[i] = taken.setdefault(content[i], place[content[i]])
        # Going on where the last class stopped keeps folds of equal size.
        start += len(groups)
    return places
