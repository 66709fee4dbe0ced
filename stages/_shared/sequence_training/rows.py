"""Examples for training: arrays with one row an example, and which rows must stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..problem.problem import Problem


@dataclass(frozen=True)
class Rows:
    """N examples."""

    inputs: tuple[np.ndarray, ...]  # one for each input of the network, first dimension N
    truth: np.ndarray  # [N]: indices of labels, or float32 values
    groups: tuple[str, ...]  # rows of one group are never on both sides of a split
    names: tuple[str, ...]  # for reports

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, chosen: np.ndarray) -> Rows:
        """Some rows, in the order given."""
        return Rows(
            tuple(array[chosen] for array in self.inputs),
            self.truth[chosen],
            tuple(self.groups[i] for i in chosen),
            tuple(self.names[i] for i in chosen),
        )


def fingerprints(inputs: Sequence[np.ndarray], truth: np.ndarray) -> tuple[str, ...]:
    """A digest of each row, so that identical examples are one group."""
    found = []
    for row in range(len(truth)):
        digest = hashlib.sha256()
        for array in inputs:
            digest.update(np.ascontiguousarray(array[row]).tobytes())
        found.append(digest.hexdigest()[:16])
    return tuple(found)


def check_classes(rows: Rows, labels: Sequence[str], least: int, what: str) -> None:
    """Refuse classes with too few different groups of examples.

    Raises:
        Problem: naming the smallest ones.
    """
    if len(labels) < 2:
        raise Problem(
            f"a classifier needs at least two labels, got {len(labels)}: {', '.join(labels)}"
        )
    groups: list[set[str]] = [set() for _ in labels]
    for truth, group in zip(rows.truth, rows.groups, strict=True):
        groups[int(truth)].add(group)
    few = [f"{label} ({len(g)})" for label, g in zip(labels, groups, strict=True) if len(g) < least]
    if few:
        raise Problem(
            f"{what} needs at least {least} different examples of each label, "
            f"too few have: {', '.join(few[:5])}",
            hint="give more examples, or evaluate on a `test` input",
        )


def indices(names: Sequence[str], labels: Sequence[str], what: str) -> np.ndarray:
    """Labels as indices.

    Raises:
        Problem: a label is not among those that were learnt.
    """
    places = {label: place for place, label in enumerate(labels)}
    unknown = sorted(set(names) - set(places))
    if unknown:
        raise Problem(
            f"{what}: label {unknown[0]!r} was never seen in training; known are "
            f"{', '.join(labels[:8])}{', ...' if len(labels) > 8 else ''}"
        )
    return np.array([places[name] for name in names], dtype=np.int64)


def starts(total: int, size: int, step: int) -> list[int]:
    """Where windows begin: each has half a window of content at least, and some that is its own."""
    found = range(0, max(1, total - size // 2 + 1), step)
    return [start for start in found if start == 0 or start - step + size < total]


def spread(count: int, limit: int) -> list[int]:
    """At most ``limit`` of ``count`` places, evenly spread."""
    if count <= limit:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, limit).round()]


def file_name(text: Any) -> str:
    """A name that any file system takes."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in str(text))
    return kept.strip(".") or "_"
