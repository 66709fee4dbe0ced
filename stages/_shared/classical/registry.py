"""Which estimator is mapped by which function, and what to say where there is none."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..problem.problem import Problem

# What an estimator is mapped as; one that is several (Birch) has a row for each.
ROLES = ("transformer", "regressor", "classifier", "clusterer", "detector")
Mapper = Callable[..., Any]


@dataclass(frozen=True)
class Entry:
    """One estimator's mapping: ``how`` is the line that the documentation shows."""

    library: str
    name: str
    role: str
    mapper: Mapper
    how: str


_entries: dict[tuple[str, str, str], Entry] = {}
_whole: dict[tuple[str, str], Mapper] = {}
_refused: dict[tuple[str, str], str] = {}


def maps(role: str, *names: str, how: str, library: str = "sklearn") -> Callable[[Mapper], Mapper]:
    """Register ``mapper(estimator, frame)`` for estimators by class name."""

    def register(mapper: Mapper) -> Mapper:
        for name in names:
            if (library, name, role) in _entries:
                raise ValueError(f"{name} is mapped twice as {role}")
            _entries[library, name, role] = Entry(library, name, role, mapper, how)
        return mapper

    return register


def whole(*names: str, library: str = "sklearn") -> Callable[[Mapper], Mapper]:
    """Register how these become a classifier of the classical family, ``mapper(..., labels)``.

    It is used where the estimator is the last step; inside of others its scores are taken.
    """

    def register(mapper: Mapper) -> Mapper:
        _whole.update({(library, name): mapper for name in names})
        return mapper

    return register


def refuse(reason: str, *names: str, library: str = "sklearn") -> None:
    """Say why these are not mapped."""
    _refused.update({(library, name): reason for name in names})


def find(estimator: Any, role: str) -> Mapper:
    """What maps this estimator.

    Raises:
        Problem: nothing does; names the nearest that are mapped.
    """
    key = key_of(estimator)
    if (entry := _entries.get((*key, role))) is not None:
        return entry.mapper
    raise refusal(estimator, role)


def find_whole(estimator: Any) -> Mapper | None:
    """What makes a classical classifier of this estimator, or None."""
    return _whole.get(key_of(estimator))


def has(estimator: Any, role: str) -> bool:
    """Whether the estimator is mapped in that role."""
    return (*key_of(estimator), role) in _entries


def key_of(estimator: Any) -> tuple[str, str]:
    """The library and the class."""
    kind = type(estimator)
    return kind.__module__.partition(".")[0], kind.__name__


def refusal(estimator: Any, role: str) -> Problem:
    """The error for an estimator that is not mapped."""
    library, name = key_of(estimator)
    if reason := _refused.get((library, name)):
        return Problem(f"{name} cannot become a Core ML model: {reason}", hint=_instead(name, role))
    if library not in {e.library for e in _entries.values()}:
        return Problem(
            f"{name} is a class of {library}, which is not mapped to Core ML",
            hint="build the model of scikit-learn's own estimators, or write `train/script`",
        )
    return Problem(f"{name} is not mapped to Core ML as a {role}", hint=_instead(name, role))


def _instead(name: str, role: str) -> str:
    known = sorted({e.name for e in _entries.values() if e.role == role})
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.4) or known[:8]
    return f"the nearest that are: {', '.join(close)}; docs/classical.md has all"


def entries() -> list[Entry]:
    """All that is mapped, sorted."""
    return sorted(_entries.values(), key=lambda e: (e.library, ROLES.index(e.role), e.name))


def refused() -> dict[tuple[str, str], str]:
    """All that is refused with a reason of its own."""
    return dict(sorted(_refused.items()))
