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
_PICKED = 8192  # elements that tell how much a value varies
SAME = 1e-5  # float32 arithmetic in another order stays below, less what is taken off for it


@dataclass(frozen=True, slots=True)
class Match:
    """A value of the reference, brought into the candidate's layout.

    Attributes:
        place: Its position in the recordings.
        values: Its tensors in the candidate's shape, one for each sample.
        error: Relative root mean square of the difference.
        strong: Whether the elements have the same order, so that nothing was transposed.
        piece: Whether it is a value from inside of one operation of the reference.
    """

    place: int
    values: Tensors
    error: float
    strong: bool
    piece: bool = False

    def is_better_than(self, other: Match) -> bool:
        """Strong before weak, whole before piece, then the smaller difference."""
        return self._rank() < other._rank()

    def _rank(self) -> tuple[bool, bool, bool, float]:
        return not self.strong, not self.same, self.piece, self.error

    @property
    def same(self) -> bool:
        """Whether it differs by no more than arithmetic."""
        return self.error <= SAME


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
            if value.numel() and not value.is_complex() and value.dtype != torch.bool:
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
            if match is None or (best is not None and not _is_better(match, best, values)):
                continue
            best = match
            if best.strong and not best.piece and _apart(values, best.values) == 0:
                break
        return best

    def compare(self, place: int, values: Tensors, tolerance: float) -> Match | None:
        """Whether one value of the reference is this one, in some layout."""
        theirs = self.values(place)
        if any(a.numel() != b.numel() for a, b in zip(values, theirs, strict=False)):
            return None
        for strong, laid in _layouts(theirs, values):
            if clearly_apart(values, laid, tolerance):
                continue
            error = difference(values, laid)
            if error <= tolerance:
                return Match(place, laid, error, strong, self.first.values[place].piece)
        return None

    def laid_out(self, place: int, like: Tensors) -> list[Tensors]:
        """A value of the reference in the shape of a candidate's: as it is, then transposed."""
        return [laid for _, laid in _layouts(self.values(place), like)]


def same(ours: Tensors, theirs: Tensors) -> bool:
    """Whether values differ by no more than arithmetic."""
    return not clearly_apart(ours, theirs, SAME) and difference(ours, theirs) <= SAME


def clearly_apart(ours: Tensors, theirs: Tensors, tolerance: float) -> bool:
    """Whether ``difference`` is above a tolerance, seen at the worst element of the first sample.

    No element counts relative to more than 7.2 times the largest (its own size, the middle's, and
    a spread of at most 5.2 times it), and one alone makes a difference of a share of it.
    """
    ours_first, theirs_first = ours[0].reshape(-1), theirs[0].reshape(-1)
    if not ours_first.numel() or ours_first.numel() != theirs_first.numel():
        return False
    top = max(float(t.double().abs().max()) for t in theirs if t.numel())
    worst = float((ours_first.double() - theirs_first.double()).abs().max())
    return worst > (7.2 * _PEAK * tolerance + 7.2 * _ARITHMETIC) * top


def difference(ours: Tensors, theirs: Tensors) -> float:
    """How far values lie apart, relative to how much most of the reference's vary.

    A few huge elements (a mask of -10000) must not hide an error in all others: each element
    counts relative to its own distance from the middle, but at least to that of a typical one.

    Returns:
        Root mean square over the elements, less what float32 arithmetic explains; or the worst
        element's share, if that is far worse. Infinite where one side is not finite.
    """
    square = peak = 0.0
    count = 0
    middle, scale = _middle_and_scale(theirs)
    for a, b in zip(ours, theirs, strict=False):
        if a.numel() != b.numel():
            return float("inf")
        a, b = a.double().reshape(-1), b.double().reshape(-1)
        delta = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
        if not bool(delta.isfinite().all()):
            return float("inf")
        beyond = (delta - _ARITHMETIC * (b.abs() + scale)).clamp_(min=0.0).nan_to_num_(0.0)
        share = beyond / (b - middle).abs().clamp_(min=scale).nan_to_num_(scale)
        square += float(share.square().sum())
        peak = max(peak, float(share.max()) if share.numel() else 0.0)
        count += a.numel()
    return max((square / count) ** 0.5, peak / _PEAK) if count else 0.0


def _middle_and_scale(values: Tensors) -> tuple[float, float]:
    """The median, and the typical distance from it, of what differs from it at all."""
    picked = []
    for value in values:
        flat = value.reshape(-1).double()
        if flat.numel() > _PICKED:
            generator = torch.Generator().manual_seed(flat.numel())
            flat = flat[torch.randint(0, flat.numel(), (_PICKED,), generator=generator)]
        picked.append(flat[flat.isfinite()])
    sample = torch.cat(picked)
    if not sample.numel():
        return 0.0, 1.0
    middle = float(sample.median())
    apart = (sample - middle).abs()
    apart = apart[apart > 1e-6 * abs(middle)]
    least = 1e-7 * abs(middle) + 1e-12
    if not apart.numel():
        return middle, least
    # The third decile of the distances of normally distributed numbers is 0.385 deviations.
    return middle, max(float(apart.quantile(0.3)) / 0.385, least)


def is_telling(values: Tensors) -> bool:
    """Whether an equal value elsewhere would mean anything: not tiny, not constant."""
    if sum(value.numel() for value in values) < 4:
        return False
    first = values[0].reshape(-1)[:1]
    return any(bool((value != first).any()) for value in values) and values[0].dtype != torch.bool


def _is_better(match: Match, best: Match, values: Tensors) -> bool:
    """Whether to prefer a match; of two that arithmetic cannot tell apart, the nearer one."""
    if match.is_better_than(best) or best.is_better_than(match):
        return match.is_better_than(best)
    return _apart(values, match.values) < _apart(values, best.values)


def _apart(ours: Tensors, theirs: Tensors) -> float:
    return sum(float((a - b).abs().sum()) for a, b in zip(ours, theirs, strict=False))


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
