"""Earlier versions: what patches start from, and what a roll-back returns to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..problem.problem import Problem
from .model import Model


@dataclass(frozen=True)
class Earlier:
    """A version that devices may have."""

    model: Model
    version: str | None = None  # of a bundle; a bare model has none
    sequence: int | None = None
    where: Path | None = None

    @property
    def label(self) -> str:
        """How logs call it."""
        name = self.where.name if self.where else "the earlier model"
        return name if self.sequence is None else f"{self.version} (sequence {self.sequence})"


def next_sequence(earlier: Sequence[Earlier], asked: int | None) -> int:
    """The number of a new bundle: greater than every earlier one.

    Raises:
        Problem: the number asked for is not.
    """
    newest = max((e.sequence for e in earlier if e.sequence is not None), default=0)
    if asked is None:
        return newest + 1
    if asked <= newest:
        raise Problem(
            f"sequence: {asked} is not greater than {newest} of an earlier bundle, so that clients "
            "which have that one would refuse it",
            hint="leave it out: it is then counted on",
        )
    return asked


def returned_to(earlier: Sequence[Earlier], sequence: int) -> Earlier:
    """The earlier bundle that a roll-back delivers again.

    Raises:
        Problem: it is not among those given.
    """
    for version in earlier:
        if version.sequence == sequence:
            return version
    known = sorted(e.sequence for e in earlier if e.sequence is not None)
    raise Problem(
        f"rollback_to: no bundle with sequence {sequence} is among the inputs `previous`",
        hint="given are " + ", ".join(map(str, known)) if known else "give its bundle there",
    )


def revoked(
    earlier: Sequence[Earlier], asked: Sequence[int], rollback_to: int | None, sequence: int
) -> list[int]:
    """Sequence numbers that devices must leave.

    Raises:
        Problem: one of them is this bundle, or one to come.
    """
    late = [number for number in asked if number >= sequence]
    if late:
        raise Problem(f"revoked: {late[0]} is no earlier bundle, this one is {sequence}")
    found = set(asked)
    if rollback_to is not None:
        if rollback_to in found:
            raise Problem(f"revoked: {rollback_to} is what `rollback_to` returns to")
        found.update(range(rollback_to + 1, sequence))
    return sorted(found)
