"""Which stages stand as they are: what the last build left, held against the disk.

A stage whose inputs and outputs have the stat data that belonged to its last decision, in a
pipeline that resolves as it did, need not be planned again. Only what changed is, and what waits
for it; so a changed leaf costs little more than the look at all files that finds it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbuild import __version__
from mlbuild.graph import Graph
from mlbuild.records import Outcome, PathRef, ResolvedPipeline, Stage, StageOutput, StageResult
from mlbuild.store import knowledge
from mlbuild.store.digests import Sig, sig_of
from mlbuild.store.project import Store

_FORMAT = 2
_STANDS = frozenset({Outcome.RAN, Outcome.REUSED, Outcome.RESTORED})
# Key, size of each output, what it reads undeclared.
Row = tuple[str, Mapping[str, int], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last build of a pipeline left, and still is as it was."""

    rows: Mapping[str, Row]  # by stage
    seen: Mapping[str, Sig | None]  # absolute path -> stat data
    _declared: _Declared

    def without(self, stages: Collection[str]) -> Standing:
        """What stands of all others: whatever these declare will be looked at anew."""
        rows = {name: row for name, row in self.rows.items() if name not in stages}
        return Standing(rows, self._declared.without(self.seen, stages), self._declared)

    def result(self, stage: Stage) -> StageResult:
        """What a run tells of a stage that stands."""
        key, sizes, undeclared = self.rows[stage.name]
        return StageResult(
            stage.name,
            Outcome.REUSED,
            (),
            key,
            outputs={out.name: out.path for out in stage.outputs},
            sizes=sizes,
            undeclared=undeclared,
        )


def moved(standing: Standing, graph: Graph) -> set[str]:
    """The stages that must be planned: what does not stand, and all that waits for it."""
    fallen = {name for name in graph.order if name not in standing.rows}
    return fallen | graph.descendants(fallen)


def recall(store: Store, pipeline: ResolvedPipeline, identity: str | None) -> Standing | None:
    """What stands; None where that is not known, or where more changed than a stage's files.

    Call it under the pipeline's lock.
    """
    if identity is None:
        return None
    found = knowledge.recall(_place(store))
    if found is None or found[:4] != (_FORMAT, __version__, identity, store.state()):
        return None
    try:
        _, _, _, _, rows, paths, fields = found
        seen, changed = _compared(store.root, paths, fields)
    except (ValueError, TypeError):
        return None
    declared = _Declared(pipeline, store.root)
    hit: set[str] = set()
    for path in changed:
        stages = declared.by(path)
        if not stages:
            return None  # a `.dvc` file or the like: it may concern any stage
        hit |= stages
    left = {name: row for name, row in rows.items() if name not in hit}
    return Standing(left, seen, declared)


def keep(
    store: Store,
    pipeline: ResolvedPipeline,
    identity: str | None,
    results: Iterable[StageResult],
    before: Standing | None,
    seen: Mapping[str, Sig | None],
) -> bool:
    """Keeps what stands now; the last thing that a build does.

    Args:
        store: of the pipeline, committed.
        pipeline: that was built.
        identity: of the resolved pipeline.
        results: of the stages that were decided in this build.
        before: what stood all the while.
        seen: the stat data that belong to what was decided.

    Returns:
        False: of some stage's files nothing is known, so a change of them could not be noticed.
    """
    if identity is None:
        return False
    rows = dict(before.rows) if before else {}
    for result in results:
        if result.outcome in _STANDS and result.key and all(g.ok for g in result.gates):
            rows[result.stage] = (result.key, dict(result.sizes), result.undeclared)
        else:
            rows.pop(result.stage, None)
    declared = before._declared if before else _Declared(pipeline, store.root)
    # Nothing stands whose files nobody looked at.
    kept = {name: row for name, row in rows.items() if declared.known(name, seen)}
    base = f"{store.root}/"
    paths = [path.removeprefix(base) for path in seen]
    fields = [f for sig in seen.values() for f in (sig or (-1, -1, -1, -1))]
    facts = (_FORMAT, __version__, identity, store.state(), kept, paths, fields)
    knowledge.keep(_place(store), facts)
    return len(kept) == len(rows)


def _place(store: Store) -> Path:
    return store.state_dir / "standing" / store.name


def _compared(
    root: Path, paths: list[str], fields: list[int]
) -> tuple[dict[str, Sig | None], list[str]]:
    """The stat data that still hold, by absolute path, and the paths of those that do not."""
    seen: dict[str, Sig | None] = {}
    changed: list[str] = []
    values, base, stat = iter(fields), f"{root}/", os.stat
    rows: Iterator[Any] = zip(paths, values, values, values, values, strict=False)
    for name, *kept in rows:
        path = name if name[0] == "/" else base + name
        try:
            now: Sig | None = sig_of(stat(path))
        except OSError:
            now = None
        then = None if kept[3] == -1 else tuple(kept)
        if now == then:
            seen[path] = now
        else:
            changed.append(path)
    return seen, changed


class _Declared:
    """Which stages have to do with a path: they read it, or make it."""

    def __init__(self, pipeline: ResolvedPipeline, root: Path) -> None:
        self._root = str(root)
        self._stages: dict[str, list[str]] = {}
        self._of_stage: dict[str, list[str]] = {}
        self._looked_at: dict[str, list[str]] = {}  # what planning or running a stage looks at
        made = {
            s.name: {o.name: self._absolute(o.path) for o in s.outputs} for s in pipeline.stages
        }
        for stage in pipeline.stages:
            own, others = [*made[stage.name].values()], []
            for source in (source for item in stage.inputs for source in item.sources):
                if isinstance(source, StageOutput):
                    others.append(made[source.stage][source.output])
                elif isinstance(source, PathRef):
                    own.append(self._absolute(source.path))
                elif pipeline.datasets[source.name].scheme == "path":
                    own.append(self._absolute(pipeline.datasets[source.name].location))
            self._looked_at[stage.name] = own
            self._of_stage[stage.name] = [*own, *others]
            for path in self._of_stage[stage.name]:
                self._stages.setdefault(path, []).append(stage.name)

    def by(self, path: str) -> set[str]:
        """The stages that declare a path, or a folder above it."""
        found: set[str] = set()
        while path:
            found.update(self._stages.get(path, ()))
            path = path.rpartition("/")[0]
        return found

    def without(
        self, seen: Mapping[str, Sig | None], stages: Collection[str]
    ) -> dict[str, Sig | None]:
        """What was seen of others: what these stages make, or read of sources, is seen anew."""
        own = {path for name in stages for path in self._looked_at[name]}
        folders = tuple(f"{path}/" for path in own if not os.path.isfile(path))  # noqa: PTH113
        return {
            path: sig
            for path, sig in seen.items()
            if path not in own and not (folders and path.startswith(folders))
        }

    def known(self, stage: str, seen: Mapping[str, Sig | None]) -> bool:
        """Whether all that a stage has to do with was seen."""
        return all(path in seen for path in self._of_stage[stage])

    def _absolute(self, path: str) -> str:
        whole = path if path[:1] == "/" else f"{self._root}/{path}"
        # Only what was not written plainly: ten thousand calls of normpath take 30 ms.
        return os.path.normpath(whole) if "/." in whole or "//" in whole else whole.rstrip("/")
