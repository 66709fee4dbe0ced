"""What of a stage's key changed, part by part, down to parameters, packages and files: as data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from mlbuild.plan import Planned
from mlbuild.records import (
    DatasetRef,
    Decision,
    Input,
    Json,
    Source,
    Stage,
    StageOutput,
    StageRecord,
)


class Meanings(Protocol):
    """What digests stand for, as far as that is known."""

    def folder(self, md5: str) -> Mapping[str, str] | None: ...

    def code(self, digest: str) -> Mapping[str, str] | None: ...

    def packages(self, digest: str) -> Mapping[str, str] | None: ...

    def size(self, md5: str) -> int | None: ...

    def last_use(self, key: str) -> tuple[str, float] | None: ...

    def recorded(self, stage: Stage) -> StageRecord | None: ...


@dataclass(frozen=True, slots=True)
class Files:
    """How two listings differ."""

    before: int
    now: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()  # the same bytes under another name


@dataclass(frozen=True, slots=True)
class Change:
    """One part of the key that differs."""

    part: str  # "params.bits", "inputs.images", "inputs.models.[bits=4]", "code"
    before: Json
    now: Json
    source: str = ""  # of an input: where it comes from
    sizes: tuple[int | None, int | None] = (None, None)
    files: Files | None = None  # of a folder, or of code
    packages: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For `--json`: nothing is left out, however long."""
        found: dict[str, Any] = {"part": self.part, "before": self.before, "now": self.now}
        if self.source:
            found["source"] = self.source
        if self.sizes != (None, None):
            found["sizes"] = list(self.sizes)
        if self.files:
            found["files"] = {
                name: [list(x) if isinstance(x, tuple) else x for x in value]
                if isinstance(value := getattr(self.files, name), tuple)
                else value
                for name in ("before", "now", "added", "removed", "changed", "renamed")
            }
        if self.packages:
            found["packages"] = {name: list(pair) for name, pair in self.packages.items()}
        return found


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is to be told of one stage."""

    item: Planned
    changes: tuple[Change, ...] = ()
    last_use: tuple[str, datetime] | None = None  # of what it reuses or restores: stage, when
    waits_for: tuple[str, ...] = ()  # stages that must run before more is known

    @property
    def origin(self) -> str | None:
        """Where its result comes from if it does not run."""
        if self.item.decision is Decision.REUSE:
            return "in place"
        if self.item.decision is Decision.RESTORE:
            return "remote" if self.item.remote else "cache"
        return None

    def as_json(self) -> dict[str, Any]:
        """What `--json` tells beside the decision."""
        used = self.last_use
        last = {"stage": used[0], "at": used[1].isoformat(timespec="seconds")} if used else None
        return {
            "changes": [change.as_json() for change in self.changes],
            "origin": self.origin,
            "last_use": last,
            "waits_for": list(self.waits_for),
        }


def explain(item: Planned, meanings: Meanings, unsettled: Collection[str] = ()) -> Explanation:
    """Compares a stage's key with that of its last record.

    Args:
        item: what was decided.
        meanings: what digests stand for.
        unsettled: the stages that will run, or may.
    """
    if item.key is None:
        return _unsettled(item, meanings, unsettled)
    changes = tuple(_changes(item, meanings)) if item.previous else ()
    used = None
    if item.decision in (Decision.REUSE, Decision.RESTORE):
        last = meanings.last_use(item.key)
        used = (last[0], datetime.fromtimestamp(last[1], UTC).astimezone()) if last else None
    return Explanation(item, changes, used)


def _unsettled(item: Planned, meanings: Meanings, unsettled: Collection[str]) -> Explanation:
    """What is known of a stage while an input is not: what the pipeline file itself says."""
    stage = item.stage
    waits_for = {s.stage for i in stage.inputs for s in i.sources if isinstance(s, StageOutput)}
    previous = meanings.recorded(stage)
    now = {"params": dict(stage.params), "env": dict(stage.env), "threads": stage.resources.cpu}
    now |= {} if stage.command is None else {"command": stage.command}
    before = previous.parts if previous else now
    changes = [c for part in sorted(now) for c in _values(part, before.get(part), now[part])]
    return Explanation(item, tuple(changes), waits_for=tuple(sorted(waits_for & set(unsettled))))


def compared(before: Mapping[str, str], now: Mapping[str, str]) -> Files:
    """How one listing became another; what has the same digest under another name was renamed."""
    gone = sorted(before.keys() - now.keys())
    new = sorted(now.keys() - before.keys())
    by_digest: dict[str, list[str]] = {}
    for name in reversed(gone):
        by_digest.setdefault(before[name], []).append(name)
    renamed = [(by_digest[now[n]].pop(), n) for n in new if by_digest.get(now[n])]
    old_names, new_names = {a for a, _ in renamed}, {b for _, b in renamed}
    return Files(
        len(before),
        len(now),
        tuple(n for n in new if n not in new_names),
        tuple(n for n in gone if n not in old_names),
        tuple(sorted(n for n in before.keys() & now.keys() if before[n] != now[n])),
        tuple(renamed),
    )


def _changes(item: Planned, meanings: Meanings) -> Iterator[Change]:
    assert item.previous is not None
    before, now = item.previous.parts, item.parts
    for part in sorted(before.keys() | now.keys()):
        old, new = before.get(part), now.get(part)
        if old == new:
            continue
        if part == "inputs":
            yield from _inputs(item, old or {}, new or {}, meanings)
        elif part == "code":
            listings = _both(meanings.code, old, new)
            yield Change(part, old, new, files=compared(*listings) if listings else None)
        elif part == "toolchain":
            pins = _both(meanings.packages, old, new)
            yield Change(part, old, new, item.stage.toolchain or "", packages=_packages(pins))
        else:
            yield from _values(part, old, new)


def _values(part: str, old: Json, new: Json) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _values(f"{part}.{name}", old.get(name), new.get(name))
    elif old != new:
        yield Change(part, old, new)


def _inputs(
    item: Planned, old: Mapping[str, Json], new: Mapping[str, Json], meanings: Meanings
) -> Iterator[Change]:
    roles = {i.role: i for i in item.inputs}
    for role in sorted(old.keys() | new.keys()):
        one, two = _named(old.get(role)), _named(new.get(role))
        places = _sources(roles.get(role))
        for label in sorted(one.keys() | two.keys()):
            if one.get(label) != two.get(label):
                part = f"inputs.{role}.{label}" if label else f"inputs.{role}"
                yield _input(part, places.get(label, ""), one.get(label), two.get(label), meanings)


def _input(part: str, source: str, old: Json, new: Json, meanings: Meanings) -> Change:
    folders = all(md5 is None or str(md5).endswith(".dir") for md5 in (old, new))
    listings = _both(meanings.folder, old, new) if folders else None
    sizes = (meanings.size(old) if old else None, meanings.size(new) if new else None)
    return Change(part, old, new, source, sizes, compared(*listings) if listings else None)


def _named(value: Json) -> dict[str, Json]:
    """The digests of a role: of a list (``{all: ...}``) by its variants."""
    if value is None:
        return {}
    if not isinstance(value, list):
        return {"": value}
    return {_label(axes, place): md5 for place, (axes, md5) in enumerate(value, 1)}


def _label(axes: Mapping[str, Json], place: int) -> str:
    named = ",".join(f"{k}={v}" for k, v in sorted(axes.items()))
    return f"[{named or f'number {place}'}]"


def _sources(item: Input | None) -> dict[str, str]:
    if item is None:
        return {}
    if not item.many:
        return {"": _worded(item.sources[0])}
    axes = item.axes or ((),) * len(item.sources)
    pairs = enumerate(zip(axes, item.sources, strict=True), 1)
    return {_label(dict(a), place): _worded(source) for place, (a, source) in pairs}


def _worded(source: Source) -> str:
    if isinstance(source, StageOutput):
        return f"{source.stage}.{source.output}"
    return str(source) if isinstance(source, DatasetRef) else source.path


def _both(
    look_up: Callable[[str], Mapping[str, str] | None], old: str | None, new: str | None
) -> tuple[Mapping[str, str], Mapping[str, str]] | None:
    """What two digests stand for, if that is known of both."""
    one, two = (look_up(digest) if digest else None for digest in (old, new))
    return None if one is None or two is None else (one, two)


def _packages(
    pins: tuple[Mapping[str, str], Mapping[str, str]] | None,
) -> dict[str, tuple[str | None, str | None]]:
    if pins is None:
        return {}
    names = sorted(pins[0].keys() | pins[1].keys())
    pairs = {name: (pins[0].get(name), pins[1].get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
