"""Where a new file holds what an old one holds: runs of equal bytes at any place.

The old file's blocks of 64 bytes are known by a polynomial hash modulo 2**64, and every window of
the new file is looked up. Windows are hashed from prefix sums: sum(x[k] * P**k) over a window,
times P**-start, does not depend on where the window starts, because an odd P has an inverse.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 64
_PIECE = 1 << 20  # windows hashed at once, so that memory does not grow with the file
_P = 0x9E3779B97F4A7C15  # odd
_INVERSE = pow(_P, -1, 1 << 64)
_SPARSE = 4  # bits by which the table of upper bits is larger than what it holds
_NEAR = 64  # how far equal bytes are sought one by one at first


@dataclass(frozen=True)
class Run:
    """``length`` bytes that stand at ``new`` and at ``old``."""

    new: int
    old: int
    length: int


@dataclass(frozen=True)
class _Blocks:
    """Hashes of the old file's blocks, sorted, and the first place of each.

    ``some`` says for the upper bits of a hash whether any block has them: almost every window of
    a file that has changed is told by that alone.
    """

    hashes: NDArray[np.uint64]
    places: NDArray[np.int64]
    some: NDArray[np.bool_]
    shift: int

    def find(self, hashed: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which of these hashes are known, and where among the known ones they are."""
        likely = np.flatnonzero(self.some[hashed >> self.shift])
        at = np.searchsorted(self.hashes, hashed[likely])
        at = np.minimum(at, len(self.hashes) - 1)
        same = np.flatnonzero(self.hashes[at] == hashed[likely])
        return likely[same], at[same]


def runs(old: bytes, new: bytes) -> list[Run]:
    """Runs of equal bytes, in the order of the new file, none overlapping there."""
    if len(old) < BLOCK or len(new) < BLOCK:
        return []
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    blocks = _blocks(before)
    found: list[Run] = []
    end, diagonal = 0, 0
    for start in range(0, len(new) - BLOCK + 1, _PIECE):
        if end >= start + _PIECE:
            continue
        windows, hashed = _known(after, start, blocks)
        at = int(np.searchsorted(windows, end))
        while at < len(windows):
            window = int(windows[at])
            run = _run(before, after, blocks.places[hashed[at]], window, end, diagonal)
            at += 1
            if run is not None:
                found.append(run)
                end, diagonal = run.new + run.length, run.old - run.new
                at = int(np.searchsorted(windows, end))
    return found


def _blocks(data: NDArray[np.uint8]) -> _Blocks:
    count = len(data) // BLOCK
    hashes, powers, step = np.empty(count, np.uint64), _powers(_P, BLOCK), _PIECE // BLOCK
    for start in range(0, count, step):
        stop = min(start + step, count)
        words = data[start * BLOCK : stop * BLOCK].reshape(-1, BLOCK).astype(np.uint64)
        hashes[start:stop] = (words * powers).sum(axis=1, dtype=np.uint64)
    known, first = np.unique(hashes, return_index=True)
    shift = 64 - max(len(known).bit_length() + _SPARSE, 8)
    some = np.zeros(1 << (64 - shift), np.bool_)
    some[known >> shift] = True
    return _Blocks(known, first.astype(np.int64) * BLOCK, some, shift)


def _known(
    data: NDArray[np.uint8], start: int, blocks: _Blocks
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows of a piece that hash as a block does, and which block that is."""
    piece = data[start : start + _PIECE + BLOCK - 1].astype(np.uint64)
    sums = np.zeros(len(piece) + 1, np.uint64)
    np.cumsum(piece * _powers(_P)[: len(piece)], dtype=np.uint64, out=sums[1:])
    windows = len(piece) - BLOCK + 1
    found, at = blocks.find((sums[BLOCK:] - sums[:windows]) * _powers(_INVERSE)[:windows])
    return start + found, at


def _run(
    old: NDArray[np.uint8],
    new: NDArray[np.uint8],
    place: int,
    window: int,
    end: int,
    diagonal: int,
) -> Run | None:
    """The run around a window: that which goes on with the one before, else the block's."""
    straight = window + diagonal
    if 0 <= straight <= len(old) - BLOCK:
        run = _extended(old, new, straight, window, end)
        if run is not None:
            return run
    return _extended(old, new, int(place), window, end)


def _extended(
    old: NDArray[np.uint8], new: NDArray[np.uint8], place: int, window: int, end: int
) -> Run | None:
    """The run around a window, made as long as bytes are equal; None where a hash deceived."""
    if not np.array_equal(old[place : place + BLOCK], new[window : window + BLOCK]):
        return None
    back = min(place, window - end)
    before = _equal(old[place - back : place][::-1], new[window - back : window][::-1])
    after = _equal(old[place + BLOCK :], new[window + BLOCK :])
    return Run(window - before, place - before, before + BLOCK + after)


def _equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """How many bytes are equal from the start on."""
    size, done, step = min(len(one), len(other)), 0, _NEAR
    while done < size:
        stop = min(done + step, size)
        unequal = np.flatnonzero(one[done:stop] != other[done:stop])
        if len(unequal):
            return done + int(unequal[0])
        done, step = stop, min(step * 4, _PIECE)
    return size


@cache
def _powers(of: int, count: int = _PIECE + BLOCK) -> NDArray[np.uint64]:
    factors = np.full(count, of, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)
