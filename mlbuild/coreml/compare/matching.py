"""Which of a reference's values is this one? Found by content, whatever its name or layout.

Two values are the same if they differ by less than rounding explains, after one of them was
reshaped (a strong match, since the order of elements is the same) or transposed (a weak one,
since a converter may have transposed wrongly).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch

from .recording import Recording

Tensors = list[torch.Tensor]  # one for each sample

_ARITHMETIC = 4e-6  # float32 sums, as a share of the values' own size
_PEAK = 60.0  # a single element may be so many times worse than the root mean square
_MAX_RANK = 5
SAME = 1e-4  # float32 arithmetic in another order stays far below


@dataclass(frozen=True, slots=True)
class Match:
    """A value of the reference, brought into the candidate's layout.

    Attributes:
        place: Its position in the recordings.
        values: Its tensors in the candidate's shape, one for each sample.
        error: Relative root mean square of the difference.
        strong: Whether the elements have the same order, so that nothing was transposed.
    """

    place: int
    values: Tensors
    error: float
    strong: bool

    def is_better_than(self, other: Match) -> bool:
        """Strong before weak, then the smaller difference."""
        return (not self.strong, self.error) < (not other.strong, other.error)


class Index:
    """The values of a reference on several samples, by their size."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        first = recordings[0]
        alike = [r for r in recordings if _kinds(r) == _kinds(first)]
        self.complete = len(alike) == len(recordings)
        self.first = first
        self._recordings = recordings if self.complete else [first]
        self._by_size: dict[int, list[int]] = defaultdict(list)
        self._norms: dict[int, tuple[float, float]] = {}
        for place, recorded in enumerate(first.values):
            value = recorded.value
            if value.numel() and not value.is_complex():
                self._by_size[value.numel()].append(place)

    def values(self, place: int) -> Tensors:
        """One value of the reference on all samples."""
        return [r.values[place].value for r in self._recordings]

    def of_size(self, count: int) -> list[int]:
        """Positions of all values of so many elements."""
        return self._by_size.get(count, [])

    def find(self, values: Tensors, tolerance: float) -> Match | None:
        """The value of the reference that equals a value of the candidate.

        Args:
            values: The candidate's value on each sample.
            tolerance: Relative root mean square of the difference that rounding explains.
        """
        size, total = _invariants(values)
        count = values[0].numel()
        room = max(4 * tolerance, 1e-3)
        best: Match | None = None
        for place in self.of_size(count):
            norms = self._norms.get(place)
            if norms is None:
                norms = self._norms[place] = _invariants(self.values(place))
            if abs(norms[0] - size) > room * max(norms[0], size) + 1e-12:
                continue
            if abs(norms[1] - total) > room * size * count**0.5 + 1e-6:
                continue
            match = self.compare(place, values, tolerance)
            if match is None or (best is not None and not match.is_better_than(best)):
                continue
            best = match
            if best.strong and best.error <= SAME:
                break
        return best

    def compare(self, place: int, values: Tensors, tolerance: float) -> Match | None:
        """Whether one value of the reference is this one, in some layout."""
        theirs = self.values(place)
        if any(a.numel() != b.numel() for a, b in zip(values, theirs, strict=False)):
            return None
        for strong, laid in _layouts(theirs, values):
            error = difference(values, laid)
            if error <= tolerance:
                return Match(place, laid, error, strong)
        return None

    def laid_out(self, place: int, like: Tensors) -> Tensors:
        """A value of the reference in the layout of a candidate's that is most like it."""
        theirs = self.values(place)
        return min(
            (laid for _, laid in _layouts(theirs, like)), key=lambda laid: difference(like, laid)
        )


def difference(ours: Tensors, theirs: Tensors) -> float:
    """How far values lie apart, relative to how much the reference's vary.

    Returns:
        The root mean square of the difference over the spread of the reference, less what
        float32 arithmetic explains; or the greatest difference so, if that is far worse.
    """
    square = spread = peak = size = 0.0
    count = 0
    for a, b in zip(ours, theirs, strict=False):
        a, b = a.double().reshape(-1), b.double().reshape(-1)
        same = (a == b) | (a.isnan() & b.isnan())
        delta = torch.where(same, 0.0, a - b)
        finite = b[b.isfinite()]
        square += float(delta.square().sum())
        peak = max(peak, float(delta.abs().max()) if delta.numel() else 0.0)
        spread += float((finite - finite.mean()).square().sum()) if finite.numel() else 0.0
        size += float(finite.square().sum())
        count += a.numel()
    if square != square or square == float("inf"):
        return float("inf")
    if square == 0:
        return 0.0
    rms, scale = (square / count) ** 0.5, (spread / count) ** 0.5
    allowed = _ARITHMETIC * (size / count) ** 0.5 + 1e-12
    worst = max(rms - allowed, (peak - _PEAK * allowed) / _PEAK, 0.0)
    return float(worst / max(scale, allowed))


def is_telling(values: Tensors) -> bool:
    """Whether an equal value elsewhere would mean anything: not tiny, not constant."""
    if sum(value.numel() for value in values) < 4:
        return False
    first = values[0].reshape(-1)[:1]
    return any(bool((value != first).any()) for value in values) and values[0].dtype != torch.bool


def _kinds(recording: Recording) -> list[str]:
    return [value.kind for value in recording.values]


def _invariants(values: Tensors) -> tuple[float, float]:
    flat = values[0].double()
    return float(flat.square().sum().sqrt()), float(flat.sum())


def _layouts(theirs: Tensors, ours: Tensors) -> Iterator[tuple[bool, Tensors]]:
    """The reference's value in the candidate's shape: as it is first, then transposed."""
    yield True, [t.reshape(o.shape) for t, o in zip(theirs, ours, strict=False)]
    shape = [n for n in theirs[0].shape if n != 1]
    wanted = [n for n in ours[0].shape if n != 1]
    if not 2 <= len(shape) <= _MAX_RANK:
        return
    for order in permutations(range(len(shape))):
        if order == tuple(range(len(shape))):
            continue
        moved = [shape[i] for i in order]
        if moved == wanted or (len(moved) != len(wanted) and _merges(moved, wanted)):
            yield (
                False,
                [
                    t.reshape(_squeezed(t)).permute(order).reshape(o.shape)
                    for t, o in zip(theirs, ours, strict=False)
                ],
            )


def _squeezed(value: torch.Tensor) -> list[int]:
    return [n for n in value.shape if n != 1]


def _merges(fine: list[int], coarse: list[int]) -> bool:
    """Whether one shape becomes the other by joining, or by splitting, neighbours."""
    if len(fine) < len(coarse):
        fine, coarse = coarse, fine
    iterator = iter(fine)
    for wanted in coarse:
        product = 1
        while product < wanted:
            product *= next(iterator, wanted + 1)
        if product != wanted:
            return False
    return True
