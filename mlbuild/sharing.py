"""Asks the team's cache for results, before a stage is run that somebody else has run already.

A stage's key is known once its inputs are, so the remote is asked in waves: what one wave brings
makes the keys of the next known. Stages that had to wait for one that really runs are asked for
when their turn comes, together with all that became known at the same moment.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from mlbuild.graph import Graph
from mlbuild.plan import Planned, Planner
from mlbuild.records import Decision, Listener, Progress, Reason, StageRecord
from mlbuild.store.project import Store
from mlbuild.store.team import Fetched, Found
from mlbuild.store.transport import RemoteError


class Sharing:
    """One build's questions to the team's cache; after a failure it asks no more."""

    def __init__(
        self, planner: Planner, store: Store, graph: Graph, listener: Listener, *, ask: bool = True
    ) -> None:
        self._planner, self._store, self._graph = planner, store, graph
        self._listener = listener
        self._ask = ask and store.ledger is not None
        self._asked: set[str] = set()
        self._rank: dict[str, int] = {}  # of the stages of this build, parents first

    def plan(self, names: Sequence[str]) -> list[Planned]:
        """Plans, having brought what the team has: nothing is planned as restorable that is not."""
        front = self._begin(names)
        while front and self._open():
            # As if the remote had every object; then without it, where some could not be had.
            self._planner.use_remote = True
            away = self._waves(front)
            self._obtain_all(away)
            self._planner.use_remote = False
            # Gates read metrics that came just now: they may have made other keys.
            front = [p.stage.name for p in self._decide_anew(away) if self._is_new(p)]
        return self._of(names)

    def survey(self, names: Sequence[str]) -> list[Planned]:
        """Plans with what the remote could restore; fetches no data."""
        front = self._begin(names)
        if front and self._open():
            self._planner.use_remote = True
            away = self._waves(front)
            records = [p.record for p in self._of(away) if p.record]
            try:
                there = self._store.team.has(records)
            except RemoteError as error:
                self._give_up(error)
                there = set()
            self._planner.lost |= {record.key for record in records} - there
            self._decide_anew(away)
        return self._of(names)

    def reconsider(self, planned: Planned) -> Planned:
        """A stage that had to wait and would run now: perhaps somebody else has its result."""
        if not self._is_new(planned) or not self._open():
            return planned
        asking = [planned, *self._became_known(planned)]
        keys = {item.key for item in asking if item.key and self._is_new(item)}
        records = self._look_up(sorted(keys))
        self._obtain(records)
        for item in asking:
            if item.key in records:
                self._planner.decide(item.stage.name)
        return self._planner.decided[planned.stage.name]

    def regain(self, planned: Planned) -> bool:
        """Whether a result whose objects were lost here could be had again."""
        if planned.record is None or planned.key is None or not self._open():
            return False
        wanted = {planned.key: [planned.record]}
        self._obtain(wanted)
        return self._store.restorable(planned.record)

    def _begin(self, names: Sequence[str]) -> list[str]:
        self._rank = {name: n for n, name in enumerate(names)}
        return [p.stage.name for p in self._planner.plan(names) if self._is_new(p)]

    def _waves(self, front: Iterable[str]) -> list[str]:
        """Looks up the keys of what would run, and of what that makes known.

        Returns:
            The stages whose results must be fetched.
        """
        touched: set[str] = set()
        decided = self._decide_anew(front)
        while decided:
            touched.update(p.stage.name for p in decided)
            found = self._look_up(sorted({p.key for p in decided if p.key and self._is_new(p)}))
            decided = self._decide_anew([p.stage.name for p in decided if p.key in found])
        away = [name for name in touched if self._planner.decided[name].remote]
        return sorted(away, key=self._rank.__getitem__)

    def _decide_anew(self, names: Iterable[str]) -> list[Planned]:
        """Decides stages again, and those behind them where that makes a difference."""
        todo = [(self._rank[name], name) for name in set(names)]
        heapq.heapify(todo)
        waiting = {name for _, name in todo}
        decided = []
        while todo:
            name = heapq.heappop(todo)[1]
            before = self._planner.decided[name]
            now = self._planner.decide(name)
            decided.append(now)
            if _handed_on(before) != _handed_on(now):
                below = {n for n in self._graph.children(name) if n in self._rank} - waiting
                waiting |= below
                for child in below:
                    heapq.heappush(todo, (self._rank[child], child))
        return decided

    def _obtain_all(self, names: Sequence[str]) -> None:
        """Fetches what is planned as restorable from the remote."""
        wanted: dict[str, list[StageRecord]] = {}
        for item in self._of(names):
            if item.remote and item.record:
                others = self._store.runs.find(item.record.key)
                wanted[item.record.key] = _unique([item.record, *others])
        left = self._obtain(wanted)
        # Its objects may be gone, here and there, while somebody built the same anew.
        again = self._look_up(sorted(left - self._asked))
        self._planner.lost |= (left - again.keys()) | self._obtain(again)

    def _became_known(self, planned: Planned) -> list[Planned]:
        """Other stages that waited for the same parents and can be decided now."""
        found = []
        for parent in self._graph.parents(planned.stage.name):
            for name in self._graph.children(parent):
                item = self._planner.decided.get(name)
                if item is None or item.decision is not Decision.PENDING or item.excluded:
                    continue
                above = (self._planner.decided.get(p) for p in self._graph.parents(name))
                if all(p is not None and (p.record or p.excluded) for p in above):
                    found.append(self._planner.decide(name))
        return found

    def _look_up(self, keys: Sequence[str]) -> Mapping[str, list[StageRecord]]:
        """The results that the remote knows of keys; each key is asked for once a build."""
        self._asked.update(keys)
        if not keys or not self._open():
            return {}
        try:
            found = self._store.team.lookup(keys)
        except RemoteError as error:
            self._give_up(error)
            found = Found(frozenset(), ())
        for place in found.refused:
            self._listener.warned(f"the remote's {place} is not what its name says: it is ignored")
        return {key: self._store.runs.find(key) for key in found.keys}

    def _obtain(self, wanted: Mapping[str, Sequence[StageRecord]]) -> set[str]:
        """Fetches one restorable result of each key; returns the keys that none could be had of."""
        left, turn = set(wanted), 0
        while self._open():
            batch = [wanted[key][turn] for key in sorted(left) if turn < len(wanted[key])]
            if not batch:
                break
            self._fetch(batch)
            left -= {record.key for record in batch if self._store.restorable(record)}
            turn += 1
        return left

    def _fetch(self, records: Sequence[StageRecord]) -> None:
        try:
            self._tell(self._store.team.fetch(records, _told(self._listener)))
        except RemoteError as error:
            self._give_up(error)

    def _tell(self, fetched: Fetched) -> None:
        """Names what is corrupt on the remote by the outputs that need it."""
        if not fetched.corrupt:
            return
        found = dict.fromkeys(sorted(fetched.corrupt), "")
        for name, item in self._planner.decided.items():
            for out, digest in item.record.outputs.items() if item.record else ():
                for md5 in self._store.cache.objects_of(digest.md5) & found.keys():
                    found[md5] = f" (of {name}.{out})"
        for md5, where in found.items():
            self._listener.warned(
                f"object {md5}{where} is corrupt on the remote: nothing of it was kept; "
                "build here, then `mlbuild push` puts it right"
            )

    def _is_new(self, planned: Planned) -> bool:
        """Whether it would run, and nobody was asked for its result yet."""
        if planned.decision is not Decision.RUN or Reason.FORCED in planned.reasons:
            return False
        return planned.key not in self._asked

    def _open(self) -> bool:
        """Whether there is a remote to ask."""
        if self._ask:
            try:
                self._ask = self._store.team.files is not None
            except RemoteError as error:
                self._give_up(error)
        return self._ask

    def _give_up(self, error: RemoteError) -> None:
        self._ask = False
        self._listener.warned(f"{error.render()}\n  the team's cache is not asked in this build")

    def _of(self, names: Iterable[str]) -> list[Planned]:
        return [self._planner.decided[name] for name in names]


def _handed_on(planned: Planned) -> tuple[object, ...]:
    """What the stages behind it see of a stage."""
    outputs = planned.record.outputs if planned.record else None
    return outputs, planned.excluded, planned.blocked


def _unique(records: Iterable[StageRecord]) -> list[StageRecord]:
    found: list[StageRecord] = []
    for record in records:
        if record not in found:
            found.append(record)
    return found


def _told(listener: Listener) -> Progress:
    return lambda done, total, text: listener.advanced("", done, total, text)
