"""Words and runs of words as numbers: what a text classifier reads.

A word is an unbroken run of letters and digits (Unicode categories L and N), in lower case, so that
an app finds the same ones. 0 is padding, 1 a word that is not in the vocabulary; a run that
is not in it is left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

PADDING, UNKNOWN = 0, 1
_SPECIAL = 2
# What Python's isalnum holds for: letters and numbers, no underscore.
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class WordTokenizer:
    """A vocabulary of words and of runs of up to ``ngrams`` words."""

    vocabulary: tuple[str, ...]
    ngrams: int
    length: int

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.vocabulary) + _SPECIAL

    def encode(self, text: str) -> list[int]:
        """Exactly ``length`` numbers; of a longer text the first ones."""
        places = self._places()
        found = words(text)
        ids = []
        for start in range(len(found)):
            ids.append(places.get(found[start], UNKNOWN))
            for count in range(2, self.ngrams + 1):
                run = " ".join(found[start : start + count])
                if start + count <= len(found) and run in places:
                    ids.append(places[run])
            if len(ids) >= self.length:
                break
        ids = ids[: self.length]
        return ids + [PADDING] * (self.length - len(ids))

    def _places(self) -> dict[str, int]:
        known = self.__dict__.get("_known")
        if known is None:
            known = {word: place + _SPECIAL for place, word in enumerate(self.vocabulary)}
            self.__dict__["_known"] = known
        return known

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a model's metadata."""
        return {
            "kind": "words",
            "ngrams": self.ngrams,
            "length": self.length,
            "vocabulary": list(self.vocabulary),
        }


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(text.lower())


def learn_words(
    texts: Iterable[str], ngrams: int, least: int, most: int, length: int
) -> WordTokenizer:
    """The vocabulary of some texts.

    Args:
        texts: what is learnt.
        ngrams: longest run of words.
        least: in how many texts an entry occurs at least.
        most: how many entries there are at most; those in most texts win.
        length: how many numbers a text becomes.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(runs(words(text), ngrams)))
    kept = sorted((-count, run) for run, count in counts.items() if count >= least)
    return WordTokenizer(tuple(run for _, run in kept[:most]), ngrams, length)


def runs(found: Sequence[str], ngrams: int) -> list[str]:
    """All runs of up to so many words."""
    return [
        " ".join(found[start : start + count])
        for count in range(1, ngrams + 1)
        for start in range(len(found) - count + 1)
    ]
