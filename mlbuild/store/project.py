"""The facade: everything that the engine asks of the disk, of DVC and of what was built before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mlbuild.errors import DataError
from mlbuild.records import Digest, Json, Progress, ResolvedPipeline, Stage, StageRecord
from mlbuild.store import known, noop, past
from mlbuild.store.cache import Ingested, Objects
from mlbuild.store.commit import Build, commit, is_current, stat_data
from mlbuild.store.datasets import Tracker
from mlbuild.store.depends import Dependencies
from mlbuild.store.digests import Digests, Sig, wait_for_tick
from mlbuild.store.facts import Placement, Published
from mlbuild.store.files import explained, sweep, write_atomic
from mlbuild.store.init import cache_settings, dvc_folder, ensure_dvc
from mlbuild.store.ledger import Ledger, lock_entry
from mlbuild.store.listings import Listings
from mlbuild.store.lock import dvc_lock, holder, pipeline_lock
from mlbuild.store.pins import Variation
from mlbuild.store.publish import Publisher, Scratch, slug
from mlbuild.store.record import BuildRecord
from mlbuild.store.runs import RunCache
from mlbuild.store.team import Team

__all__ = ["Placement", "Published", "Scratch", "Store"]

OnWait = Callable[[str], None]


class Store:
    """What is known and kept of one pipeline. Make it with ``Store.open``."""

    def __init__(self, root: Path, pipeline: str, pipeline_file: Path, ledger: bool) -> None:
        self.root = root
        self.state_dir = root / ".mlbuild"
        self.digests = Digests(self.state_dir, root)
        self.name = slug(pipeline)
        self._pipeline = pipeline
        self.ledger = Ledger(root, pipeline, pipeline_file) if ledger else None
        self.build_record = BuildRecord(self.state_dir / "build" / f"{slug(pipeline)}.log")
        self._publisher = Publisher(root, slug(pipeline), self.state_dir)
        self._current: bool | None = None  # the ledger is as the last commit left it
        self._cache: Objects | None = None

    @classmethod
    def open(cls, root: Path, pipeline: str, pipeline_file: Path, ledger: bool = True) -> Store:
        """Opens what is known of a pipeline; reads one file, imports nothing heavy.

        Args:
            root: the project.
            pipeline: its name.
            pipeline_file: where it is written; NAME-lock.json lies beside it.
            ledger: False keeps everything in `.mlbuild/` (``ledger: none``).
        """
        return cls(root.resolve(), pipeline, pipeline_file.resolve(), ledger)

    # --- what is known ---------------------------------------------------------------------------

    def recorded(self, stage: Stage) -> StageRecord | None:
        """The last record of a stage. The ledger wins where it was changed from outside."""
        entry = self.build_record.get(stage.name)
        if self.ledger is None:
            return entry.record if entry else None
        if self._current is None:
            self._current = is_current(self.ledger, self.build_record.committed)
        if entry and (self._current or stage.name in self.build_record.uncommitted):
            return entry.record
        return self.ledger.record(stage.name) or (entry.record if entry else None)

    def candidates(self, stage: Stage, key: str) -> StageRecord | None:
        """A record with exactly this key, of whatever stage: restorable ones first."""
        return known.candidates(self, stage, key)

    def placement(self, stage: Stage, record: StageRecord) -> Placement:
        """Holds what lies at the stage's outputs against a record."""
        return known.placement(self, stage, record)

    def restorable(self, record: StageRecord) -> bool:
        """Whether all that a record names is in the local cache, or in place."""
        return known.restorable(self, record)

    def object_path(self, digest: Digest) -> Path:
        """Where the cache keeps a file's bytes, to read them without restoring it."""
        return self.cache.path(digest.md5)

    def datasets_frozen(self) -> dict[str, Json]:
        """What NAME-lock.json says of datasets."""
        return self.ledger.head().datasets if self.ledger else dict(self._frozen())

    # --- doing -----------------------------------------------------------------------------------

    def prepare(self, stage: Stage, in_place: Sequence[str] = ()) -> Scratch:
        """An empty scratch for one attempt at a stage; see ``Publisher.prepare``."""
        for name in in_place:
            self.digests.forget(self.root / stage.output(name).path)
        return self._publisher.prepare(stage, in_place)

    def discard(self, scratch: Scratch) -> None:
        """The attempt failed: what was there before is there again."""
        self._publisher.discard(scratch)

    def publish(self, stage: Stage, scratch: Scratch) -> Published:
        """Puts a stage's results into the cache and into place, all of them or none.

        Raises:
            DataError: an output is missing or no file or folder, or the disk is full. What was
                there before is there still.
        """
        self._publisher.collect(scratch)
        absent = [name for name, path in scratch.outputs.items() if not os.path.lexists(path)]
        if absent:
            self._publisher.discard(scratch)
            raise DataError(
                f"stage '{stage.name}' succeeded without making {_listed(stage, absent)}",
                hint="its command must write every output that it declares",
            )
        try:
            ignore = self.digests.ignore()
            found = {
                name: self.cache.put(path, ignore, self.root / stage.output(name).path)
                for name, path in scratch.outputs.items()
            }
        except DataError:
            self._publisher.discard(scratch)
            raise
        kept = self._place(stage, scratch, found)
        return Published({name: got.digest for name, got in found.items()}, tuple(kept))

    def restore(self, stage: Stage, record: StageRecord) -> list[Path]:
        """Brings a record's outputs back into place.

        Returns:
            Where files now lie that somebody had changed by hand.

        Raises:
            ObjectMissingError: an object is missing or corrupt; nothing was changed. Run the stage.
        """
        scratch = self._publisher.prepare(stage)
        want = self.placement(stage, record)
        names = [*want.missing, *want.modified, *want.outdated]
        try:
            found = {n: self._checkout(record.outputs[n], scratch.outputs[n]) for n in names}
        except DataError:
            self._publisher.discard(scratch)
            raise
        kept = self._place(stage, scratch, found)
        self.record(stage, record)
        return kept

    def record(self, stage: Stage, record: StageRecord) -> None:
        """Notes a success, so that no kill can lose it: run cache first, then build record.

        The outputs' objects are in the cache already: ``publish`` or ``restore`` came before.
        """
        files = self.ledger.files if self.ledger else ("", self._pipeline)
        pin = self.ledger.pin(stage, record) if self.ledger else None
        self.runs.add(record.key, lock_entry(stage, record, {}, files, slug(stage.name), pin))
        self.build_record.append(stage.name, record, {out.name: out.path for out in stage.outputs})

    def commit(
        self,
        pipeline: ResolvedPipeline,
        records: Mapping[str, StageRecord],
        datasets: Mapping[str, Json],
        *,
        decided: Collection[str] | None = None,
        identity: str | None = None,
        built: Variation | None = None,
        pins_only: bool = False,
        on_wait: OnWait | None = None,
    ) -> None:
        """Writes the ledger; once a build, also after failures and interrupts.

        Args:
            pipeline: as it is now; generated stages that are not in it are removed.
            records: of the stages that are up to date now, reused ones included.
            datasets: what is frozen of them.
            decided: the stages whose records may differ from those that are known; None: all.
            identity: of the resolved pipeline; equal ones have equal stages in dvc.yaml.
            built: with what `--profile` and `--set`; None leaves what is recorded of it.
            pins_only: write NAME-lock.json alone (`--no-record`: DVC is recording by itself).
            on_wait: told once if another process has DVC's lock.
        """
        self._publisher.close()  # before: a kill behind it may be followed by runs that do nothing
        for stage in pipeline.stages:
            if (decided is None or stage.name in decided) and stage.name in records:
                self._note(stage, records[stage.name])
        names = [stage.name for stage in pipeline.stages]
        facts: dict[str, Json] = {"datasets": dict(datasets)}
        if self.ledger:
            deps = Dependencies(pipeline, records, self.digests).of
            changed = frozenset(self.build_record.uncommitted)
            facts_of = (deps, changed, identity, built, pipeline.release)
            build = Build(pipeline.stages, records, datasets, *facts_of)
            with contextlib.ExitStack() as stack:
                if not pins_only:
                    stack.enter_context(dvc_lock(self.root, on_wait))
                facts |= commit(self.ledger, build, self.build_record.committed, pins_only)
        self.build_record.commit(facts, names)
        self._current = None
        self.digests.flush()

    def recover(self) -> list[str]:
        """Puts right what a killed build left; call it under the pipeline's lock."""
        hit = self._publisher.recover()
        if hit:
            self.digests = Digests(self.state_dir, self.root)
        self.cache.sweep()
        beside = [f.parent for f in self.ledger.all_files()] if self.ledger else []
        beside += [folder] if (folder := dvc_folder(self.root)) else []
        sweep(self.state_dir, *self.state_dir.iterdir(), *beside)
        return hit

    def close(self) -> None:
        """Keeps what was learned of files."""
        self._publisher.close()
        self.digests.flush()
        self.build_record.close()

    # --- around it -------------------------------------------------------------------------------

    def initialize(self) -> str | None:
        """Makes `.mlbuild/` and, with a ledger, `.dvc/` where there is none: told in one line."""
        self.initialize_state()
        return ensure_dvc(self.root) if self.ledger else None

    @contextlib.contextmanager
    def lock(self, on_wait: OnWait | None = None) -> Iterator[int]:
        """Holds the pipeline while it is built; ``on_wait`` gets one sentence about the holder."""
        self.initialize_state()
        with pipeline_lock(self._lock_file, on_wait) as held:
            try:
                yield held
            finally:
                self._publisher.close()

    def holder(self) -> str:
        """Who builds this pipeline now, for people."""
        return holder(self._lock_file)

    @cached_property
    def team(self) -> Team:
        """What the team has pushed to DVC's default remote."""

        def place_of(md5: str) -> Path | None:
            return self.digests.place_of(md5)  # of whatever digests are known by then

        return Team(self.root, self.state_dir, self.cache, self.runs, place_of)

    def add_dataset(self, path: str, progress: Progress | None = None) -> Json:
        """Has DVC track a dataset inside the root, as `dvc add` does, unless git has it."""
        return self._tracker.add(path, progress) if self.ledger else None

    def tracked_digest(self, path: str) -> str | None:
        """What DVC recorded of a dataset: known before its data is pulled."""
        return self._tracker.digest(path) if self.ledger else None

    def pull_dataset(self, path: str, progress: Progress | None = None) -> bool:
        """Fetches a dataset that DVC tracks and that is not here. False: it is not tracked."""
        pulled = bool(self.ledger) and self._tracker.pull(path, progress)
        if pulled:
            self.digests.forget(self.root / path)
        return pulled

    def released(self, digest: Digest, name: str, progress: Progress | None = None) -> Path:
        """A copy of what was released, from the cache or the remote; see ``past.bring``."""
        return past.bring(
            self.cache, self.team, self.state_dir / "released", digest, name, progress
        )

    def tracked_dataset(self, path: str) -> tuple[str, Digest | None] | None:
        """The `.dvc` file that tracks a dataset, and what it records; see ``Tracker.tracked``."""
        return self._tracker.tracked(path) if self.ledger else None

    def forget_noop(self) -> None:
        """Call before any stage starts: no earlier success may be told again."""
        noop.forget(self.root)

    def state(self) -> tuple[object, ...]:
        """By which another run sees that nothing was recorded since, here or by others."""
        files = stat_data(self.ledger) if self.ledger else None
        return (files, self.build_record.signature())

    def settle(self) -> bool:
        """Waits until whatever changes from now on must show in the stat data that were seen.

        Returns:
            False: something was changing while it was read; nothing may be concluded from it.
        """
        if not self.digests.settle():
            return False
        wait_for_tick(self.digests.seen.values())
        return True

    def write_noop(
        self,
        argv: Sequence[str],
        cwd: Path,
        text: str,
        tty: bool = False,
        still: Mapping[str, Sig | None] | None = None,
    ) -> bool:
        """Lets the next run with the same arguments end at once if nothing changed.

        Everything that ``digests`` looked at is compared, and what was given to
        ``digests.watch``: the pipeline file, kinds, locks; and ``still``, which an earlier run
        looked at. Call it after ``commit`` and ``settle``, on success.
        """
        seen = dict(self.digests.seen)
        if self.ledger:
            facts = self.build_record.committed.get("files") or [None] * 3
            for file, sig in zip(self.ledger.all_files(), facts, strict=True):
                seen[str(file)] = tuple(sig) if sig else None
        return noop.write(self.root, argv, cwd, seen, text, tty, still)

    def initialize_state(self) -> None:
        """Makes `.mlbuild/`, hidden from git."""
        with explained("making the state folder", self.state_dir):
            ignore = self.state_dir / ".gitignore"
            if not ignore.exists():
                write_atomic(ignore, b"*\n", sync=False)

    @property
    def cache(self) -> Objects:
        """The objects: DVC's cache, or `.mlbuild/cache` without a ledger."""
        if self._cache is None:
            if self.ledger:
                self._cache = Objects(*cache_settings(self.root))
            else:
                self._cache = Objects(self.state_dir / "cache")
            self._cache.twins = self.digests.twins
        return self._cache

    @cached_property
    def listings(self) -> Listings:
        """What the digests of folders, code and toolchains stood for."""
        return Listings(self.state_dir)

    @cached_property
    def runs(self) -> RunCache:
        """Every result that was ever built here or pulled, by stage key."""
        return RunCache(self.cache.folder)

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _tracker(self) -> Tracker:
        return Tracker(self.root, self.cache, self.digests, self.team)

    @property
    def _lock_file(self) -> Path:
        return self.state_dir / "locks" / f"{slug(self._pipeline)}.lock"

    def _frozen(self) -> Mapping[str, Json]:
        found = self.build_record.committed.get("datasets", {})
        return found if isinstance(found, dict) else {}

    def _checkout(self, digest: Digest, to: Path) -> Ingested:
        """From the cache, or from another place where the same bytes lie."""
        place = self.digests.place_of(digest.md5)
        if place is not None and not self.cache.complete(digest.md5):
            self.cache.put_tree(place, digest.md5, self.digests.listing(place))
        return self.cache.checkout(digest, to)

    def _place(self, stage: Stage, scratch: Scratch, found: Mapping[str, Ingested]) -> list[Path]:
        """Exchanges outputs and learns their digests."""
        keep = []
        for name in found:
            path = self.root / stage.output(name).path
            with contextlib.suppress(DataError):  # a dangling link is in the way: it is kept too
                old = self.digests.of(path)
                if old is None or old.md5 == found[name].digest.md5:
                    continue
                if known.is_ours(self, stage, stage.output(name).path, old.md5):
                    continue
            keep.append(name)
        kept = self._publisher.publish(scratch, list(found), keep)
        for name, got in found.items():
            self.digests.learn(self.root / stage.output(name).path, got.digest, got.listing)
        return kept

    def _note(self, stage: Stage, record: StageRecord) -> None:
        paths = {out.name: out.path for out in stage.outputs}
        entry = self.build_record.get(stage.name)
        known = entry and (entry.record.key, entry.record.outputs, entry.paths)
        if known != (record.key, record.outputs, paths):
            self.build_record.append(stage.name, record, paths)


def _listed(stage: Stage, names: Sequence[str]) -> str:
    return ", ".join(f"{name} ({stage.output(name).path})" for name in names)
