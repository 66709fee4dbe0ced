"""What the store answers with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mlbuild.records import Digest


class Placement(NamedTuple):
    """How a stage's outputs stand to a record of it: names of outputs."""

    missing: tuple[str, ...]
    modified: tuple[str, ...]  # changed by somebody else than mlbuild
    outdated: tuple[str, ...]  # of an earlier build

    @property
    def in_place(self) -> bool:
        """Whether everything is where and what the record says."""
        return not (self.missing or self.modified or self.outdated)


class Published(NamedTuple):
    """What was moved into place, and what of the user's own had to make room for it."""

    outputs: dict[str, Digest]
    kept: tuple[Path, ...]
