"""Which rows are learnt and which are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Tuple  # noqa: UP035 - evaluated, on 3.8 too

import numpy as np

from ..._shared.problem.problem import Problem

Parts = Tuple[np.ndarray, np.ndarray]  # noqa: UP006 - places to learn, places to ask


def by_label(labels: Sequence[Any], share: float, seed: int) -> Parts:
    """Hold out a share of each label; a label that stands once is learnt.

    Raises:
        Problem: nothing would be held out.
    """
    random, asked = np.random.RandomState(seed), []
    whole = np.array([str(label) for label in labels])
    for label in sorted(set(whole)):
        places = np.flatnonzero(whole == label)
        count = min(len(places) - 1, max(1, round(share * len(places))))
        asked += random.permutation(places)[:count].tolist()
    return _parted(len(whole), asked)


def at_random(count: int, share: float, seed: int) -> Parts:
    """Hold out a share of all."""
    chosen = np.random.RandomState(seed).permutation(count)
    return _parted(count, chosen[: max(1, round(share * count))].tolist())


def _parted(count: int, asked: Sequence[int]) -> Parts:
    if not asked or len(asked) >= count:
        raise Problem(
            f"{count} rows are too few to hold some out",
            hint="add rows, give a test input, or say evaluate: none",
        )
    held = np.zeros(count, dtype=bool)
    held[list(asked)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
