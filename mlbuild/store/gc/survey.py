"""What of a cache stays, for whom, and what may go. Pure: looks at facts, touches nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlbuild.store.gc.inventory import Cache, Entry, Object
from mlbuild.store.gc.roots import Need

_DAY, _HOUR = 86_400.0, 3_600.0
_UNNAMED = ("past", "recent")  # what is kept for its age alone


@dataclass(frozen=True, slots=True)
class Policy:
    """For how long what nobody needs is kept nevertheless."""

    keep_days: float = 30.0  # past results, so that switching a parameter back restores
    grace_hours: float = 2.0  # anything: a build elsewhere may be about to name it
    now: float = 0.0

    def is_new(self, seen: Object) -> bool:
        """Whether it came here so lately that a build may not have named it yet."""
        return self.now - seen.newest < self.grace_hours * _HOUR

    def is_young(self, moment: float) -> bool:
        """Whether something last used then is kept for its own sake."""
        return self.now - moment < self.keep_days * _DAY

    def is_idle(self, moment: float) -> bool:
        """Whether something last used then is of no more use; for a day nothing is.

        A build that uses a toolchain may take that long, whatever was asked for.
        """
        return not self.is_young(moment) and self.now - moment > _DAY


@dataclass(frozen=True, slots=True)
class Kept:
    """What one of those who need something keeps alive."""

    kind: str
    name: str
    objects: int
    size: int
    only_objects: int  # needed by nothing else that has a name; age is no name
    only_size: int


@dataclass(slots=True)
class Freed:
    """What goes of one stage; of no stage where nothing tells any more whose it was."""

    pipeline: str
    stage: str
    results: int = 0  # past combinations
    objects: int = 0
    size: int = 0


@dataclass(slots=True)
class Survey:
    """One cache, sorted into what stays and what may go."""

    cache: Cache
    kept: list[Kept] = field(default_factory=list)
    kept_objects: int = 0
    kept_size: int = 0
    freed: list[Freed] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)  # to delete, before
    objects: dict[str, Object] = field(default_factory=dict)  # these
    half_written: list[tuple[Path, Object]] = field(default_factory=list)

    @property
    def freed_size(self) -> int:
        """Bytes of everything that may go."""
        return (
            sum(seen.size for seen in self.objects.values())
            + sum(entry.seen.size for entry in self.entries)
            + sum(seen.size for _, seen in self.half_written)
        )


def survey(cache: Cache, needs: Sequence[Need], policy: Policy) -> Survey:
    """Sorts a cache by who needs what.

    Args:
        cache: as it was found.
        needs: of checkouts and of all that git has a name for.
        policy: what is kept beyond that.
    """
    checkouts = frozenset().union(*(n.digests for n in needs if n.kind in ("checkout", "worktree")))
    young, old = _by_age(cache, checkouts, policy)
    new = frozenset(md5 for md5, seen in cache.objects.items() if policy.is_new(seen))
    past = frozenset().union(*(entry.digests for entry in young))
    everyone = [*needs, Need("past", "", past), Need("recent", "", new)]
    found = Survey(cache)
    kept = _keep(found, everyone)
    found.entries = [entry for entry in old if not _still_useful(entry, cache, kept)]
    found.objects = {md5: seen for md5, seen in cache.objects.items() if md5 not in kept}
    found.half_written = [item for item in cache.half_written if not policy.is_new(item[1])]
    found.freed = _by_stage(found)
    return found


def _by_age(
    cache: Cache, checkouts: frozenset[str], policy: Policy
) -> tuple[list[Entry], list[Entry]]:
    """The run cache's entries: those that stay for their own sake, and the others.

    An entry whose objects are gone promises what nobody has, however young it is; but what a
    checkout names may lie in place there, or in git.
    """
    young: list[Entry] = []
    old: list[Entry] = []
    for entry in cache.entries:
        new = policy.is_new(entry.seen)  # its objects may be on their way from the remote
        kept = policy.is_young(entry.seen.mtime_ns / 1e9) and _whole(entry, cache, checkouts)
        (young if new or kept else old).append(entry)
    return young, old


def _whole(entry: Entry, cache: Cache, elsewhere: frozenset[str] = frozenset()) -> bool:
    needed = cache.expand(frozenset(entry.digests - elsewhere))
    return entry.readable and needed <= cache.objects.keys()


def _still_useful(entry: Entry, cache: Cache, kept: set[str]) -> bool:
    """Whether others keep all that an old entry names: then it costs nothing to keep it too."""
    return bool(entry.digests) and entry.readable and cache.expand(entry.digests) <= kept


def _keep(found: Survey, needs: Sequence[Need]) -> set[str]:
    """Fills in who keeps what; returns the objects that stay."""
    objects = found.cache.objects
    same: dict[frozenset[str], list[Need]] = {}
    for need in needs:
        same.setdefault(need.digests, []).append(need)
    held = {digests: found.cache.expand(digests) & objects.keys() for digests in same}
    holders: Counter[str] = Counter()
    for digests, names in held.items():
        named = sum(need.kind not in _UNNAMED for need in same[digests])
        holders.update(dict.fromkeys(names, named))
    found.kept = [_row(need, held[need.digests], holders, objects) for need in needs]
    found.kept_objects = len(holders)
    found.kept_size = _size(objects, holders)
    return set(holders)


def _row(need: Need, names: set[str], holders: Counter[str], objects: dict[str, Object]) -> Kept:
    alone = 0 if need.kind in _UNNAMED else 1
    only = [md5 for md5 in names if holders[md5] == alone]
    sizes = (_size(objects, names), _size(objects, only))
    return Kept(need.kind, need.name, len(names), sizes[0], len(only), sizes[1])


def _size(objects: dict[str, Object], names: Iterable[str]) -> int:
    return sum(objects[md5].size for md5 in names)


def _by_stage(found: Survey) -> list[Freed]:
    """What goes, by the stage that made it; an object that several made counts once."""
    rows: dict[tuple[str, str], Freed] = {}
    left = dict(found.objects)
    for entry in found.entries:
        owner = (entry.pipeline, entry.stage)
        row = rows.setdefault(owner, Freed(*owner))
        row.results += 1
        row.size += entry.seen.size
        for md5 in found.cache.expand(entry.digests):
            seen = left.pop(md5, None)
            if seen:
                row.objects += 1
                row.size += seen.size
    if left:
        size = sum(seen.size for seen in left.values())
        rows[("", "")] = Freed("", "", 0, len(left), size)
    return sorted(rows.values(), key=lambda row: (-row.size, row.pipeline, row.stage))
