"""Which examples are learnt and which are asked. A group may have examples of many labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Parts = tuple[np.ndarray, np.ndarray]  # indices to learn, indices to ask


def holdout(truth: np.ndarray, groups: Sequence[str], share: float, seed: int) -> Parts:
    """One split: whole groups are asked until each label has about its share.

    Each label is asked at least once and stays with at least one group to learn, where it has two.
    """
    members = _members(groups, seed)
    counts = np.bincount(truth)
    remaining = np.zeros(len(counts), dtype=np.int64)
    for rows in members:
        remaining[np.unique(truth[rows])] += 1
    asked_of = np.zeros(len(counts), dtype=np.int64)
    asked = np.zeros(len(truth), dtype=bool)
    for rows in members:
        here = np.bincount(truth[rows], minlength=len(counts))
        there = here > 0
        # The middle of the group decides on which side it overshoots less.
        fits = (asked_of + here / 2 <= np.maximum(1, share * counts))[there].all()
        needed = bool((asked_of[there] == 0).any())
        if (fits or needed) and (remaining[there] > 1).all():
            asked[rows] = True
            asked_of += here
            remaining[there] -= 1
    return np.flatnonzero(~asked), np.flatnonzero(asked)


def folds(truth: np.ndarray, groups: Sequence[str], count: int, seed: int) -> list[Parts]:
    """Folds of whole groups: each goes where its labels are asked least so far."""
    asked_of = np.zeros((count, int(truth.max()) + 1))
    totals = np.maximum(1, np.bincount(truth))
    place = np.zeros(len(truth), dtype=np.int64)
    # Large groups first: small ones even out what they leave.
    for rows in sorted(_members(groups, seed), key=len, reverse=True):
        here = np.bincount(truth[rows], minlength=len(totals))
        load = ((asked_of + here) / totals)[:, here > 0].max(axis=1)
        chosen = int(np.lexsort((asked_of.sum(axis=1), load))[0])
        place[rows] = chosen
        asked_of[chosen] += here
    return [(np.flatnonzero(place != f), np.flatnonzero(place == f)) for f in range(count)]


def _members(groups: Sequence[str], seed: int) -> list[np.ndarray]:
    """The rows of each group, groups in a shuffled order that names alone decide."""
    names, inverse = np.unique(np.array(groups), return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(names) + 1))
    random = np.random.default_rng(seed)
    return [order[bounds[g] : bounds[g + 1]] for g in random.permutation(len(names))]
