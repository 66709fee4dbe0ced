"""What is known of results: which of them has a key, lies in place, or can be brought back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlbuild.errors import DataError
from mlbuild.records import Stage, StageRecord
from mlbuild.store.facts import Placement
from mlbuild.store.record import Entry

if TYPE_CHECKING:
    from mlbuild.store.project import Store


def candidates(store: Store, stage: Stage, key: str) -> StageRecord | None:
    """A record with exactly this key, of whatever stage: restorable ones first."""
    first: StageRecord | None = None
    for record in _with_key(store, stage, key):
        if all(out.name in record.outputs for out in stage.outputs):
            if placement(store, stage, record).in_place or restorable(store, record):
                return record
            first = first or record
    return first


def placement(store: Store, stage: Stage, record: StageRecord) -> Placement:
    """Holds what lies at the stage's outputs against a record."""
    missing: list[str] = []
    modified: list[str] = []
    outdated: list[str] = []
    for out in stage.outputs:
        want = record.outputs.get(out.name)
        try:
            got = store.digests.of(store.root / out.path)
        except DataError:  # a dangling link, a pipe, a file without rights: not our work
            modified.append(out.name)
            continue
        if got is None:
            missing.append(out.name)
        elif want is None or got.md5 != want.md5 or got.isexec != want.isexec:
            ours = is_ours(store, stage, out.path, got.md5)
            (outdated if ours else modified).append(out.name)
    return Placement(tuple(missing), tuple(modified), tuple(outdated))


def restorable(store: Store, record: StageRecord) -> bool:
    """Whether all that a record names is in the local cache, or in place.

    What git keeps, e.g. metrics in a fresh clone, need not be in the cache.
    """
    return all(
        store.digests.place_of(out.md5) or store.cache.complete(out.md5)
        for out in record.outputs.values()
    )


def is_ours(store: Store, stage: Stage, path: str, md5: str) -> bool:
    """Whether mlbuild itself put these bytes at a path, for whatever stage."""
    entry = store.build_record.get(stage.name)
    if entry and any(p == path and md5 == _md5_of(entry, n) for n, p in entry.paths.items()):
        return True
    if store.build_record.put_there(path) == md5:
        return True
    return store.ledger is not None and md5 in store.ledger.published(path)


def _with_key(store: Store, stage: Stage, key: str) -> Iterator[StageRecord]:
    recorded = store.recorded(stage)
    if recorded is not None and recorded.key == key:
        yield recorded
    built = store.build_record.with_key(key)
    if built is not None:
        yield built
    yield from store.runs.find(key)
    if store.ledger and (found := store.ledger.with_key(key)):
        yield found


def _md5_of(entry: Entry, output: str) -> str | None:
    digest = entry.record.outputs.get(output)
    return digest.md5 if digest else None
