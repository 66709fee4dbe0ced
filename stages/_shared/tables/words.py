"""Names in messages: the nearest spelling, and lists that stay short."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 12


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was probably meant to be."""
    names = list(known)
    lowered = {name.lower(): name for name in reversed(names)}
    close = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def shown(names: Iterable[object]) -> str:
    """The names, or the first of many and how many there are."""
    every = [str(name) for name in names]
    rest = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + rest


def suggestion(word: str, known: Iterable[str], has: str = "it has") -> str:
    """A hint: the nearest word, or else all of them."""
    names = list(known)
    close = nearest(word, names)
    return f"did you mean '{close}'?" if close else f"{has} {shown(names)}"
