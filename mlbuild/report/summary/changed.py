"""What of parameters, data, code and toolchains changed between two ledgers, stage by stage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from mlbuild.records import Json, PathRef, Stage, StageOutput

_PARTS = {
    "params": "parameter",
    "env": "environment",
    "command": "command",
    "code": "code",
    "kind": "kind",
    "toolchain": "toolchain",
    "threads": "threads",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is no longer what it was, and the stages that it is a part of."""

    what: str  # parameter, data, code, command, kind, toolchain, environment, threads
    name: str  # of the parameter, the role, or nothing
    before: Json
    now: Json
    stages: tuple[str, ...]


def changes(
    before: Mapping[str, Mapping[str, Json]],
    now: Mapping[str, Mapping[str, Json]],
    stages: Collection[Stage],
) -> tuple[Change, ...]:
    """How the keys of stages that are in both became others; what variants share is told once.

    Outputs of other stages are left out: why those changed is told where they are made.

    Args:
        before: a stage's name -> the parts of its key.
        now: the same.
        stages: of the pipeline as it is now.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    values: dict[tuple[str, str, str], tuple[str, str, Json, Json]] = {}
    for stage in stages:
        if stage.name not in before or stage.name not in now:
            continue
        for row in _differences(before[stage.name], now[stage.name], stage):
            mark = (row[0], row[1], repr(row[2:]))
            found.setdefault(mark, []).append(stage.name)
            values[mark] = row
    return tuple(Change(*values[mark], tuple(names)) for mark, names in found.items())


def _differences(
    before: Mapping[str, Json], now: Mapping[str, Json], stage: Stage
) -> Iterator[tuple[str, str, Json, Json]]:
    for part, word in _PARTS.items():
        for name, old, new in _values("", before.get(part), now.get(part)):
            yield word, name, old, new
    made = {
        item.role
        for item in stage.inputs
        if all(isinstance(source, StageOutput) for source in item.sources)
    }
    old, new = before.get("inputs") or {}, now.get("inputs") or {}
    for role in sorted((old.keys() | new.keys()) - made):
        if old.get(role) != new.get(role):
            yield "data", _source(stage, role), old.get(role), new.get(role)


def _values(name: str, old: Json, new: Json) -> Iterator[tuple[str, Json, Json]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            yield from _values(f"{name}.{key}" if name else key, old.get(key), new.get(key))
    elif old != new and not (not old and not new):  # {} and nothing are the same
        yield name, old, new


def _source(stage: Stage, role: str) -> str:
    """Where the data of a role comes from, as the pipeline file calls it."""
    for item in stage.inputs:
        if item.role == role:
            named = (s.path if isinstance(s, PathRef) else str(s) for s in item.sources)
            return ", ".join(named)
    return role
