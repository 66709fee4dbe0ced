"""What `mlbuild push` and `mlbuild pull` move: what one pipeline needs, and what it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mlbuild.build import Pipeline, RunOptions
from mlbuild.errors import DataError
from mlbuild.records import DatasetRef, Progress, Stage, StageRecord
from mlbuild.store.cache import ObjectMissingError
from mlbuild.store.ledger import Ledger, lock_entry
from mlbuild.store.project import Store
from mlbuild.store.publish import slug
from mlbuild.store.pushing import Cargo, Entry, Push, Pushed
from mlbuild.store.transport import Files, open_remote


class Past(StrEnum):
    """Which results besides the current ones are pushed."""

    NONE = "none"
    PIPELINE = "pipeline"  # every result of this pipeline that the cache still has
    ALL = "all"  # of every pipeline, also of those that are gone


@dataclass(slots=True)
class Pulled:
    """What a pull did."""

    remote: str | None
    objects: int = 0  # fetched
    size: int = 0  # bytes fetched
    restored: list[str] = field(default_factory=list)  # stages whose outputs were put into place
    datasets: list[str] = field(default_factory=list)  # put into place
    changed: list[str] = field(default_factory=list)  # outputs changed by hand, left alone
    kept: list[str] = field(default_factory=list)  # where such outputs were moved, with force
    unbuilt: list[str] = field(default_factory=list)  # stages that nobody has recorded
    missing: list[str] = field(default_factory=list)  # what could not be had, and why


def push(
    pipeline: Pipeline,
    progress: Progress | None = None,
    *,
    remote: str | None = None,
    jobs: int | None = None,
    past: Past = Past.PIPELINE,
    verify: bool = False,
) -> Pushed:
    """Sends a pipeline's results and datasets to a remote, and what makes them found again.

    Args:
        pipeline: whose.
        progress: counts objects, then bytes.
        remote: DVC's name of it; None: the default remote.
        jobs: transfers at one time.
        past: which earlier results go along.
        verify: read back what is there already and replace what is corrupt.

    Raises:
        DataError: there is no remote, or it broke off; the next push goes on from there.
    """
    store, ledger = pipeline.store, _ledger(pipeline)
    files = _remote(pipeline, remote)
    outputs, left_to_dvc = _datasets(pipeline)
    for file in left_to_dvc:
        from mlbuild.store import remotes  # lazy: imports dvc

        remotes.push_target(pipeline.root, file, remote, jobs)
    current = dict(_current(pipeline, ledger))
    for stage, record in current.values():
        for out in stage.outputs:
            if out.push and out.name in record.outputs:
                label = f"{stage.name}.{out.name} ({out.path})"
                outputs.setdefault(record.outputs[out.name].md5, label)
    entries = list(_entries(pipeline, ledger, set(current), past))
    for name, entry in entries:
        for md5 in entry.outputs:
            outputs.setdefault(md5, f"a past result of {name}")
    sending = Push(
        files, store.cache, store.team.suspects, jobs=jobs, verify=verify, progress=progress
    )
    return sending.send(Cargo(outputs, [entry for _, entry in entries]))


def pull(
    pipeline: Pipeline,
    targets: Sequence[str] = (),
    progress: Progress | None = None,
    *,
    force: bool = False,
) -> Pulled:
    """Brings what the ledger records of a pipeline into the cache and into place; runs nothing.

    Args:
        pipeline: whose.
        targets: only what these stages need; empty: all of it.
        progress: counts objects.
        force: also put back what was changed by hand; the changed files are kept aside.

    Raises:
        DataError: there is no remote, or it cannot be reached.
    """
    _ledger(pipeline)
    names = pipeline.selection(RunOptions(targets=targets))
    store, stages = pipeline.store, {s.name: s for s in pipeline.resolved.stages}
    with store.lock():
        store.forget_noop()
        store.recover()
        done = Pulled(_remote(pipeline, None).name)
        wanted: list[tuple[Stage, StageRecord]] = []
        for name in names:
            record = store.recorded(stages[name])
            if record is None:
                done.unbuilt.append(name)
            elif _is_wanted(store, stages[name], record, force, done):
                wanted.append((stages[name], record))
        fetched = store.team.fetch([record for _, record in wanted], progress)
        done.objects, done.size = fetched.objects, fetched.size
        for stage, record in wanted:
            _restore(store, stage, record, fetched.corrupt, done)
        _pull_datasets(pipeline, [stages[name] for name in names], progress, done)
        store.close()
    return done


def _is_wanted(store: Store, stage: Stage, record: StageRecord, force: bool, done: Pulled) -> bool:
    """Whether a stage's outputs are to be put into place; notes those that somebody changed."""
    place = store.placement(stage, record)
    if place.modified and not force:
        done.changed += [stage.output(name).path for name in place.modified]
        return False
    return not place.in_place


def _restore(
    store: Store, stage: Stage, record: StageRecord, corrupt: frozenset[str], done: Pulled
) -> None:
    for out in stage.outputs:
        spoiled = store.cache.objects_of(record.outputs[out.name].md5) & corrupt
        if spoiled:
            what = f"object {min(spoiled)} is corrupt on the remote"
            done.missing.append(f"{stage.name}.{out.name} ({out.path}): {what}")
            return
    if not store.restorable(record):
        done.missing.append(f"{stage.name}: nobody has pushed its result")
        return
    try:
        done.kept += [str(path) for path in store.restore(stage, record)]
        done.restored.append(stage.name)
    except ObjectMissingError as error:
        done.missing.append(f"{stage.name}: {error}")


def _pull_datasets(
    pipeline: Pipeline, stages: Iterable[Stage], progress: Progress | None, done: Pulled
) -> None:
    """Datasets that DVC tracks; what comes from elsewhere is fetched when a stage reads it."""
    sources = [s for stage in stages for i in stage.inputs for s in i.sources]
    for name in dict.fromkeys(s.name for s in sources if isinstance(s, DatasetRef)):
        dataset = pipeline.resolved.datasets[name]
        if dataset.scheme != "path" or (pipeline.root / dataset.location).exists():
            continue
        try:
            if pipeline.store.pull_dataset(dataset.location, progress):
                done.datasets.append(dataset.location)
        except DataError as error:
            done.missing.append(str(error))


def _current(pipeline: Pipeline, ledger: Ledger) -> Iterator[tuple[str, tuple[Stage, StageRecord]]]:
    """The recorded stages by key; what lies in place only, as metrics in git do, is cached."""
    store = pipeline.store
    for stage in pipeline.resolved.stages:
        record = store.recorded(stage)
        if record is None:
            continue
        store.placement(stage, record)  # learns what lies in place
        for out in record.outputs.values():
            place = store.digests.place_of(out.md5)
            if place is not None and not store.cache.complete(out.md5):
                store.cache.put_tree(place, out.md5, store.digests.listing(place))
        if store.restorable(record) and record not in store.runs.find(record.key):
            entry = lock_entry(stage, record, {}, ledger.files, slug(stage.name))
            store.runs.add(record.key, entry)
        yield record.key, (stage, record)


def _entries(
    pipeline: Pipeline, ledger: Ledger, current: set[str], past: Past
) -> Iterator[tuple[str, Entry]]:
    """The run-cache entries to push, each with its stage's name.

    A past result goes along if all of it is in the local cache: one that `gc` took apart, or that
    a teammate built, is nothing that could be pushed from here.
    """
    local = {s.name for s in pipeline.resolved.stages if not all(o.push for o in s.outputs)}
    files = None if past is Past.ALL else ledger.files
    for file, name, record in pipeline.store.runs.entries(files):
        outputs = frozenset(out.md5 for out in record.outputs.values())
        if name in local or not outputs:
            continue
        known = record.key in current
        if not known and past is Past.NONE:
            continue
        if all(pipeline.store.cache.complete(md5) for md5 in outputs):
            yield name, Entry(file, outputs)


def _datasets(pipeline: Pipeline) -> tuple[dict[str, str], list[str]]:
    """What DVC tracks of the datasets: digest -> label, and `.dvc` files that only it can push."""
    found: dict[str, str] = {}
    left: list[str] = []
    for dataset in pipeline.resolved.datasets.values():
        if dataset.scheme != "path":
            continue
        tracked = pipeline.store.tracked_dataset(dataset.location)
        if tracked is None:
            continue
        file, digest = tracked
        if digest is None:
            left.append(file)
        else:
            found[digest.md5] = f"dataset {dataset.name} ({file.removesuffix('.dvc')})"
    return found, list(dict.fromkeys(left))


def _ledger(pipeline: Pipeline) -> Ledger:
    ledger = pipeline.store.ledger
    if ledger is None:
        raise DataError(
            f"pipeline '{pipeline.name}' has no ledger: its results stay on this machine",
            hint="take `ledger: none` out of its file to share them",
        )
    return ledger


def _remote(pipeline: Pipeline, name: str | None) -> Files:
    files = open_remote(pipeline.root, name) if name else pipeline.store.team.files
    if files is None:
        raise DataError(
            "there is no DVC remote to share results through",
            hint="name one: dvc remote add -d storage s3://bucket/path (or a folder)",
        )
    return files
