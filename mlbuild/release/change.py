"""How a release differs from the last one, and what that means for its version.

Major: an app that uses the old release does not run with the new one. Minor: the model answers
differently. Patch: what surrounds the model changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlbuild.records import Json
from mlbuild.release.differing import Row, md5s_of, rows_of, sizes_of
from mlbuild.release.facts import Change, ReleasedArtifact, ReleaseFacts, StageFacts
from mlbuild.release.history import Past, PastArtifact
from mlbuild.release.interface import difference, interface_of
from mlbuild.release.tags import card_digest

LEVELS = ("major", "minor", "patch")
_PACKAGING = ("package/", "validate/", "select/")
FIRST = Change("first", ("there is no release to compare with",))


@dataclass(slots=True)
class _Reasons:
    """Sentences by the level that they ask for."""

    major: list[str] = field(default_factory=list)
    minor: list[str] = field(default_factory=list)
    patch: list[str] = field(default_factory=list)

    def result(self) -> tuple[str, tuple[str, ...]]:
        """The highest level that anything asks for, and what asks for it."""
        for level in LEVELS:
            found: list[str] = getattr(self, level)
            if found:
                return level, tuple(dict.fromkeys(found))
        return "none", ("nothing changed",)


def compare(past: Past, facts: ReleaseFacts) -> Change:
    """What changed since an earlier release, and the level of version that it asks for."""
    rows = rows_of(past, facts)
    reasons = _Reasons()
    interface, added, removed = _judge_artifacts(past, facts, reasons)
    _judge_rows(facts, rows, reasons)
    if past.card is not None and past.card != card_digest(facts.card):
        reasons.patch.append("the texts of the model card changed")
    level, why = reasons.result()
    return Change(
        level=level,
        why=why,
        interface=tuple(interface),
        params=tuple(rows["params"]),
        data=tuple(rows["data"]),
        code=tuple(rows["code"]),
        toolchains=tuple(rows["toolchains"]),
        metrics=tuple(rows["metrics"]),
        sizes=tuple(sizes_of(past, facts)),
        labels_added=added,
        labels_removed=removed,
    )


def _judge_artifacts(
    past: Past, facts: ReleaseFacts, reasons: _Reasons
) -> tuple[list[str], tuple[str, ...], tuple[str, ...]]:
    """Judges artifact by artifact; returns sentences on interfaces, and the labels."""
    told: list[str] = []
    added: list[str] = []
    removed: list[str] = []
    now = {artifact.name: artifact for artifact in facts.artifacts}
    for name in sorted(past.artifacts.keys() - now.keys()):
        reasons.major.append(f"artifact '{name}' went")
    for name in sorted(now.keys() - past.artifacts.keys()):
        reasons.minor.append(f"artifact '{name}' came")
    several = sum(a.model is not None for a in facts.artifacts) > 1
    for name in (n for n in now if n in past.artifacts):
        before, after = past.artifacts[name], now[name]
        if before.type not in (None, after.type):
            reasons.major.append(f"artifact '{name}' is {after.type}, before {before.type}")
        if before.md5 == after.md5:
            continue
        if after.model is None or before.model is None:
            _judge_plain(name, before, after, past, facts, reasons)
            continue
        found = difference(before.model, after.model)
        prefix = f"{name}: " if several else ""
        told += [prefix + text for text in (*found.breaking, *found.others)]
        reasons.major += [prefix + text for text in found.breaking]
        added += [label for label in found.labels_added if label not in added]
        removed += [label for label in found.labels_removed if label not in removed]
        if _same_content(before, after):
            reasons.patch.append(f"only the metadata of '{name}' changed")
        else:
            reasons.minor.append(f"'{name}' answers with other weights or operators")
    return told, tuple(sorted(added)), tuple(sorted(removed))


def _same_content(before: PastArtifact, after: ReleasedArtifact) -> bool:
    content = (before.model or {}).get("content")
    return content is not None and content == interface_of(after.model or {}).get("content")


def _judge_plain(
    name: str,
    before: PastArtifact,
    after: ReleasedArtifact,
    past: Past,
    facts: ReleaseFacts,
    reasons: _Reasons,
) -> None:
    """An artifact that cannot be looked into: it is judged by what it was made of."""
    if after.model is not None:
        reasons.major.append(
            f"the interface of '{name}' in {past.tagged.tag} is not known: it may have changed"
        )
        return
    stage = next(s for s in facts.stages if s.name == after.stage)
    if not (stage.kind or "").startswith(_PACKAGING):
        reasons.minor.append(f"'{name}' changed")
        return
    old = past.stages.get(before.at.stage)
    packed = _packed(stage, facts)
    if old is None or any(md5s_of(old, role) != md5s_of(stage, role) for role in packed):
        reasons.minor.append(f"what '{name}' packs changed")
    else:
        reasons.patch.append(f"'{name}' is packed differently")


def _packed(stage: StageFacts, facts: ReleaseFacts) -> list[str]:
    """The inputs of a packaging stage that are neither reports nor artifacts judged themselves."""
    own = {f"{a.stage}.{a.output}" for a in facts.artifacts}
    types = {f"{s.name}.{n}": out["type"] for s in facts.stages for n, out in s.outputs.items()}
    found = []
    for role, value in stage.inputs.items():
        items = value if isinstance(value, list) else [value]
        names = [str(item["from"]) for item in items]
        if not all(name in own or types.get(name) == "Report" for name in names):
            found.append(role)
    return found


def _judge_rows(facts: ReleaseFacts, rows: Mapping[str, Sequence[Row]], reasons: _Reasons) -> None:
    """What the stages were made of; a model that came out the same makes parameters no matter."""
    kinds = {stage.name: stage.kind or "" for stage in facts.stages}
    making = _makers(facts)
    # What a stage reads besides may be its code; and a released model is no data.
    datasets = {d.name for d in facts.datasets if d.scheme != "release"}
    changed = bool(reasons.minor or reasons.major)
    for row in rows["data"]:
        if any(name in making and not kinds[name].startswith(_PACKAGING) for name in row["stages"]):
            matters = changed or str(row["name"]) in datasets
            (reasons.minor if matters else reasons.patch).append(f"data changed: {row['name']}")
    for row in rows["params"]:
        name = str(row["stage"])
        told = f"{name}.{row['name']} is {_shown(row['after'])}, before {_shown(row['before'])}"
        if str(row["name"]) == "platforms" and _raised(row["before"], row["after"]):
            reasons.major.append(f"the oldest systems are raised: {told}")
        elif name in making and not kinds[name].startswith(_PACKAGING):
            (reasons.minor if changed else reasons.patch).append(told)
        elif name in making:
            reasons.patch.append(told)
    if rows["metrics"]:
        reasons.patch.append("recorded metrics changed")


def _makers(facts: ReleaseFacts) -> set[str]:
    """The stages that an artifact comes from."""
    stages = {stage.name: stage for stage in facts.stages}
    todo, found = [a.stage for a in facts.artifacts], set[str]()
    while todo:
        name = todo.pop()
        if name in found or name not in stages:
            continue
        found.add(name)
        for value in stages[name].inputs.values():
            for item in value if isinstance(value, list) else [value]:
                todo.append(str(item["from"]).rpartition(".")[0])
    return found


def _shown(value: Json) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _raised(before: Json, after: Json) -> bool:
    """Whether one of `{iOS: '17.0'}` is higher now, or new."""
    old = before if isinstance(before, Mapping) else {}
    new = after if isinstance(after, Mapping) else {}
    return any(_dots(new[system]) > _dots(old.get(system, "0")) for system in new)


def _dots(text: Json) -> list[int]:
    return [int(part) for part in str(text).split(".") if part.isdigit()]
