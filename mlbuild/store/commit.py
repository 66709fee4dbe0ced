"""Writes the ledger after a build: NAME-lock.json, dvc.yaml, dvc.lock and `.gitignore`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlbuild.errors import LedgerError
from mlbuild.records import Json, ReleaseSpec, Stage, StageRecord
from mlbuild.store import artifacts
from mlbuild.store.digests import sig_of
from mlbuild.store.dvcyaml import definition, scan, splice
from mlbuild.store.files import checkpoint, explained, write_atomic
from mlbuild.store.gitignore import ignore, unignore
from mlbuild.store.ledger import (
    Deps,
    Ledger,
    lock_entry,
    mine,
    read_lock,
)
from mlbuild.store.merging import settled
from mlbuild.store.names import ledger_names
from mlbuild.store.pins import Head, Variation, exchanged, pins_text, read_rows, row_text
from mlbuild.store.sections import replaced
from mlbuild.store.yaml12 import entry

RELEASES = "releases"  # where `mlbuild release` puts its folders


@dataclass(frozen=True, slots=True)
class Build:
    """What a commit is made of."""

    stages: Sequence[Stage]  # all of the pipeline
    records: Mapping[str, StageRecord]  # of those that are up to date now
    datasets: Mapping[str, Json]
    deps: Callable[[Stage, StageRecord | None], Deps]
    changed: frozenset[str]  # recorded since the last commit
    identity: str | None = None  # of the resolved pipeline: equal ones have equal dvc.yaml stages
    built: Variation | None = None  # with what --profile and --set; None: as the file says
    release: ReleaseSpec | None = None


def commit(
    ledger: Ledger, build: Build, before: Mapping[str, Json], pins_only: bool
) -> dict[str, Json]:
    """Brings the ledger up to date; call it under DVC's lock.

    Args:
        ledger: of the pipeline.
        build: what is true now.
        before: what the last commit returned; if the files are as it left them, only the entries
            of changed stages are looked at.
        pins_only: write NAME-lock.json alone: DVC is recording this stage itself.

    Returns:
        Facts for the next commit's ``before``.
    """
    names, taken = _names(ledger, build, before)
    untouched = before.get("files") == stat_data(ledger) and before.get("taken") == sorted(taken)
    changed = build.changed if untouched else frozenset(build.records)
    known = untouched and build.identity is not None and bool(before.get("structure"))
    same = known and before.get("identity") == build.identity
    head = (dict(build.datasets), [list(part) for part in build.built or ()])
    as_before = head == (before.get("datasets"), before.get("built"))
    few = _few(build, changed) if same and as_before else None
    if few is None or not _exchange_pins(ledger, build, names, few):
        _write_pins(ledger, build, names, changed)
    if pins_only:
        return {}
    structure = before["structure"] if same else ""
    if not same:
        structure = _write_yaml(ledger, build, names, before if untouched else {})
    if structure != before.get("structure"):
        changed = frozenset(build.records)  # inputs may lie elsewhere, though their bytes are equal
        if len(changed) < len(build.stages):
            structure = ""  # the others are still to be looked at
    if few is None or not _exchange_lock(ledger, build, names, few):
        _write_lock(ledger, build, names, changed)
    ledger.reload()
    facts = {"files": stat_data(ledger), "structure": structure, "taken": sorted(taken)}
    return {**facts, "identity": build.identity, "built": head[1]}


def is_current(ledger: Ledger, before: Mapping[str, Json]) -> bool:
    """Whether the files are as the last commit left them."""
    return bool(before) and before.get("files") == stat_data(ledger)


def _names(
    ledger: Ledger, build: Build, before: Mapping[str, Json]
) -> tuple[dict[str, str], set[str]]:
    stages = [stage.name for stage in build.stages]
    if before.get("files") == stat_data(ledger):
        taken = set(before.get("taken", ()))
    else:
        found, _ = scan(settled(_text(ledger.yaml_file)), ledger.files[0])
        plain = set(ledger_names(ledger.pipeline, stages).values())
        taken = {name for name, stage in found.items() if not stage.ours and name in plain}
    return ledger_names(ledger.pipeline, stages, taken), taken


def _write_pins(
    ledger: Ledger, build: Build, names: Mapping[str, str], changed: frozenset[str]
) -> None:
    old = read_rows(ledger.pins_file)
    built = ledger.head().built if build.built is None else build.built
    rows = {}
    for stage in build.stages:
        name, record = names[stage.name], build.records.get(stage.name)
        if record and (stage.name in changed or name not in old):
            rows[name] = row_text(ledger.pin(stage, record))
        elif name in old:
            rows[name] = old[name]
    _write(ledger.pins_file, pins_text(Head(dict(build.datasets), built), rows))


_FEW = 64  # blocks; to exchange more, the file is better taken apart


def _few(build: Build, changed: frozenset[str]) -> list[Stage] | None:
    """The stages to exchange in files that are otherwise as the last commit left them."""
    if len(changed) > _FEW:
        return None
    return [s for s in build.stages if s.name in changed and s.name in build.records]


def _exchange_pins(
    ledger: Ledger, build: Build, names: Mapping[str, str], few: Sequence[Stage]
) -> bool:
    rows = {names[s.name]: row_text(ledger.pin(s, build.records[s.name])) for s in few}
    return _exchange(ledger.pins_file, rows, exchanged)


def _exchange_lock(
    ledger: Ledger, build: Build, names: Mapping[str, str], few: Sequence[Stage]
) -> bool:
    rows = {}
    for stage in few:
        name, record = names[stage.name], build.records[stage.name]
        rows[name] = entry(name, _lock_entry(ledger, build, name, stage, record))
    return _exchange(ledger.lock_file, rows, replaced)


def _exchange(
    file: Path,
    rows: Mapping[str, str],
    exchange: Callable[[str, Mapping[str, str]], str | None],
) -> bool:
    """Exchanges blocks without looking at others; False: the file is to be taken apart."""
    if not rows:
        return file.exists()
    text = exchange(_text(file), rows)
    if text is not None:
        _write(file, text)
    return text is not None


def _write_yaml(
    ledger: Ledger, build: Build, names: Mapping[str, str], before: Mapping[str, Json]
) -> str:
    wanted = {
        names[s.name]: definition(s, names[s.name], *ledger.files, build.deps(s, None))
        for s in build.stages
    }
    stages = {stage.name: stage for stage in build.stages}
    listed = artifacts.rows_of(build.release, stages, ledger.files[0])
    facts = repr((wanted, listed) if listed else wanted)
    structure = hashlib.md5(facts.encode("utf-8", "surrogatepass")).hexdigest()
    if before.get("structure") == structure:
        return structure
    result = splice(settled(_text(ledger.yaml_file)), ledger.files[0], wanted)
    cached = [out.path for stage in build.stages for out in stage.outputs if out.cache]
    # First: once dvc.yaml is written, nothing tells any more which outputs are gone.
    unignore(ledger.root, set(result.dropped_outs) - set(cached))
    ignore(ledger.root, [*cached, RELEASES] if build.release else cached)
    if result.text is None:
        checkpoint("no dvc.yaml")
        ledger.yaml_file.unlink(missing_ok=True)
    else:
        _write(ledger.yaml_file, artifacts.spliced(result.text, ledger.files[0], listed))
    return structure


def _write_lock(
    ledger: Ledger, build: Build, names: Mapping[str, str], changed: frozenset[str]
) -> None:
    lock = read_lock(ledger.lock_file)
    gone = set(mine(lock.blocks, ledger.files[1])) - set(names.values())
    for name in gone:
        del lock.blocks[name]
    for stage in build.stages:
        name, record = names[stage.name], build.records.get(stage.name)
        if record and (stage.name in changed or name not in lock.blocks):
            lock.blocks[name] = entry(name, _lock_entry(ledger, build, name, stage, record))
    if lock.blocks or ledger.lock_file.exists():
        _write(ledger.lock_file, lock.text())


def _lock_entry(
    ledger: Ledger, build: Build, name: str, stage: Stage, record: StageRecord
) -> dict[str, Json]:
    deps, facts = build.deps(stage, record), ledger.pin(stage, record)
    return lock_entry(stage, record, deps, ledger.files, name, facts)


def _write(file: Path, text: str) -> None:
    data = text.encode()
    with explained("writing the ledger", file):
        if not file.exists() or file.read_bytes() != data:
            checkpoint(f"ledger:{file.name}")
            write_atomic(file, data)


def _text(file: Path) -> str:
    with explained("reading the ledger", file):
        try:
            return file.read_text("utf-8") if file.exists() else ""
        except UnicodeDecodeError as error:
            raise LedgerError(
                f"{file} cannot be read: it is not text",
                hint=f"put the committed one back (git checkout -- '{file}') or delete it",
            ) from error


def stat_data(ledger: Ledger) -> list[list[int] | None]:
    """Of the ledger's files, in the order of ``Ledger.all_files``."""
    found: list[list[int] | None] = []
    for file in (ledger.pins_file, ledger.yaml_file, ledger.lock_file):
        try:
            found.append(list(sig_of(file.stat())))
        except FileNotFoundError:
            found.append(None)
    return found
