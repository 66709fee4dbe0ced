"""Whether a stage's inputs were left alone while it ran.

Equal bytes before and after are not enough: a file that was replaced and put back has them, and the
stage may have read what lay there meanwhile. Its stat data tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlbuild.store.project import Store

Paths = Mapping[str, Path | tuple[Path, ...]]  # of a stage's inputs, by role


class Untouched:
    """Remembers how the inputs of running stages lay when they began."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before: dict[str, tuple[Paths, dict[str, list[bytes | None]]]] = {}

    def begins(self, stage: str, inputs: Paths) -> None:
        """A stage is about to read these."""
        if not self._store.cache.linked:  # a link's stat data change with those of its twins
            self._before[stage] = inputs, self._look(inputs)

    def touched(self, stage: str) -> tuple[str, ...]:
        """The roles whose files were replaced, written or moved since then."""
        if stage not in self._before:
            return ()
        inputs, before = self._before.pop(stage)
        now = self._look(inputs)
        return tuple(role for role in inputs if now[role] != before[role])

    def _look(self, inputs: Paths) -> dict[str, list[bytes | None]]:
        found: dict[str, list[bytes | None]] = {}
        for role, paths in inputs.items():
            every = paths if isinstance(paths, tuple) else (paths,)
            found[role] = [self._store.digests.stat_data(path) for path in every]
        return found
