"""Whether a stage's inputs were left alone while it ran.

Equal bytes before and after are not enough: a file that was replaced and put back has them, and
the stage may have read what lay there meanwhile. Its stat data tell. Of folders they say less: a
library may write a file of a model anew with the bytes that it had (coremltools does so with the
manifest of every package that it opens), so there it is a warning, and not even that where the
folder is another stage's result.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mlbuild.plan import Planned
from mlbuild.records import StageOutput
from mlbuild.store.project import Store

Paths = Mapping[str, Path | tuple[Path, ...]]  # of a stage's inputs, by role


class Touched(NamedTuple):
    """The roles whose files were written, replaced or moved, though their bytes are as before."""

    files: tuple[str, ...]
    folders: tuple[str, ...]


class Untouched:
    """Remembers how the inputs of running stages lay when they began."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._before: dict[str, tuple[Paths, dict[str, list[bytes | None]]]] = {}

    def begins(self, planned: Planned, inputs: Paths) -> None:
        """A stage is about to read these."""
        if not self._store.cache.linked:  # a link's stat data change with those of its twins
            self._before[planned.stage.name] = inputs, self._look(inputs)

    def touched(self, planned: Planned) -> Touched:
        """What was not left alone since then."""
        if planned.stage.name not in self._before:
            return Touched((), ())
        inputs, before = self._before.pop(planned.stage.name)
        now = self._look(inputs)
        roles = [role for role in inputs if now[role] != before[role]]
        parts = planned.parts["inputs"]
        made = {i.role for i in planned.inputs if isinstance(i.sources[0], StageOutput)}
        folders = tuple(r for r in roles if ".dir" in str(parts[r]) and r not in made)
        files = tuple(r for r in roles if ".dir" not in str(parts[r]))
        return Touched(files, folders)

    def _look(self, inputs: Paths) -> dict[str, list[bytes | None]]:
        found: dict[str, list[bytes | None]] = {}
        for role, paths in inputs.items():
            every = paths if isinstance(paths, tuple) else (paths,)
            found[role] = [self._store.digests.stat_data(path) for path in every]
        return found
