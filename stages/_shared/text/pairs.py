"""Byte-level byte-pair encoding, learnt from a text: any text becomes numbers and comes back.

Source: Sennrich, Haddow and Birch, Neural machine translation of rare words with subword units, ACL
2016; on bytes as Radford et al., Language models are unsupervised multitask learners, 2019. Ids are
0 to 255 for the bytes, then one for each merge in the order learnt, then one for the end of a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

BYTES = 256


@dataclass(frozen=True)
class PairTokenizer:
    """Merges of pairs of ids; without any, bytes."""

    merges: tuple[tuple[int, int], ...]
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int:
        """How many ids there are."""
        return BYTES + len(self.merges) + 1

    @property
    def end(self) -> int:
        """The id that ends a text."""
        return BYTES + len(self.merges)

    def encode(self, text: str) -> list[int]:
        """Ids of a text."""
        ids: list[int] = []
        for chunk in chunks(text):
            found = self._known.get(chunk)
            if found is None:
                found = self._known[chunk] = self._merged(chunk)
            ids += found
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that are no UTF-8 become a replacement character."""
        pieces = self._pieces()
        return b"".join(pieces[i] for i in ids if i != self.end).decode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a model's metadata."""
        return {"kind": "pairs", "merges": [list(pair) for pair in self.merges]}

    def _merged(self, chunk: str) -> list[int]:
        ranks = self._known.setdefault("", {p: r for r, p in enumerate(self.merges)})
        ids = list(chunk.encode("utf-8"))
        while len(ids) > 1:
            rank, place = min(
                (ranks.get(pair, len(ranks)), place) for place, pair in enumerate(pairwise(ids))
            )
            if rank == len(ranks):
                break
            ids[place : place + 2] = [BYTES + rank]
        return ids

    def _pieces(self) -> list[bytes]:
        pieces = [bytes([value]) for value in range(BYTES)]
        for left, right in self.merges:
            pieces.append(pieces[left] + pieces[right])
        return pieces


def chunks(text: str) -> list[str]:
    """Runs of letters, digits, white space or others; a run takes one space in front of it.

    >>> chunks("To be, or  not 42!")
    ['To', ' be', ',', ' or', ' ', ' not', ' 42', '!']
    """
    found: list[str] = []
    start = 0
    while start < len(text):
        end = start
        if text[start] == " " and start + 1 < len(text) and _kind(text[start + 1]) != "space":
            end = start + 1
        kind = _kind(text[end])
        while end < len(text) and _kind(text[end]) == kind:
            # The last space of several belongs to what follows.
            last = kind == "space" and text[end] == " " and end > start
            if last and end + 1 < len(text) and _kind(text[end + 1]) != "space":
                break
            end += 1
        found.append(text[start:end])
        start = end
    return found


def learn_pairs(text: str, size: int) -> PairTokenizer:
    """Merges of the most frequent pairs, until there are ``size`` ids or no pair occurs twice."""
    counted = Counter(chunks(text))
    entries = [(list(chunk.encode("utf-8")), count) for chunk, count in sorted(counted.items())]
    merges: list[tuple[int, int]] = []
    while BYTES + len(merges) + 1 < size:
        pairs: Counter[tuple[int, int]] = Counter()
        for ids, count in entries:
            for pair in pairwise(ids):
                pairs[pair] += count
        if not pairs:
            break
        best, count = min(pairs.items(), key=lambda item: (-item[1], item[0]))
        if count < 2:
            break
        for ids, _ in entries:
            _merge(ids, best, BYTES + len(merges))
        merges.append(best)
    return PairTokenizer(tuple(merges))


def _merge(ids: list[int], pair: tuple[int, int], new: int) -> None:
    place = 0
    while place < len(ids) - 1:
        if (ids[place], ids[place + 1]) == pair:
            ids[place : place + 2] = [new]
        place += 1


def _kind(character: str) -> str:
    if character.isspace():
        return "space"
    if character.isalpha():
        return "letter"
    return "digit" if character.isnumeric() else "other"
