"""Lists of ``{all: ...}``: what is left of them where gates or releases take something out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mlbuild.records import Axes, Input, Source


def without_excluded(
    item: Input, siblings: tuple[Input, ...], excluded: Callable[[Source], bool]
) -> Input:
    """Takes excluded variants out of an ``{all: ...}`` list, and what pairs with them elsewhere.

    ``models`` and ``reports`` of one consumer belong together: where a report's variant was
    excluded, the model of the same variant goes too. Lists of equal length pair by position,
    others by their shared axes.
    """
    if not item.many:
        return item
    lists = [s for s in siblings if s.many]
    keep = [
        n for n in range(len(item.sources)) if not any(_hits(item, n, s, excluded) for s in lists)
    ]
    return keeping(item, keep)


def keeping(item: Input, keep: Sequence[int]) -> Input:
    """A list with these of its sources."""
    sources = tuple(item.sources[n] for n in keep)
    return replace(item, sources=sources, axes=tuple(item.axes[n] for n in keep if item.axes))


def _hits(item: Input, n: int, other: Input, excluded: Callable[[Source], bool]) -> bool:
    if len(other.sources) == len(item.sources):
        return excluded(other.sources[n])
    if not (item.axes and other.axes):
        return False
    return any(
        excluded(source) and same_variant(item.axes[n], axes)
        for source, axes in zip(other.sources, other.axes, strict=True)
    )


def same_variant(one: Axes, two: Axes) -> bool:
    """Whether axes that both have agree; false where they share none."""
    left, right = dict(one), dict(two)
    shared = left.keys() & right.keys()
    return bool(shared) and all(left[a] == right[a] for a in shared)
