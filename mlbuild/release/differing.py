"""What differs between an earlier release and this one, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlbuild.records import Json
from mlbuild.release.facts import ReleaseFacts, StageFacts
from mlbuild.release.history import Past, PastStage

_ENVIRONMENT = ("env", "threads", "secrets", "trust", "platform")
_CODE = ("kind", "code", "key_version", "run", "command")

Row = Mapping[str, Json]


def rows_of(past: Past, facts: ReleaseFacts) -> dict[str, list[Row]]:
    """Everything that differs, by what it is: params, code, toolchains, metrics, data."""
    found: dict[str, list[Row]] = {k: [] for k in ("params", "code", "toolchains", "metrics")}
    data: dict[tuple[str, str, str], list[str]] = {}
    toolchains: dict[str, Row] = {}
    for stage in sorted(facts.stages, key=lambda s: s.name):
        old = past.stages.get(stage.name)
        if old is None:
            continue
        found["params"] += _params(stage, old)
        found["code"] += _code(stage, old)
        found["metrics"] += _metrics(stage, old)
        for row in _toolchain(stage, old):
            toolchains.setdefault(str(row["name"]), row)
        for name, before, after in _data(stage, old):
            data.setdefault((name, before, after), []).append(stage.name)
    found["toolchains"] = [toolchains[name] for name in sorted(toolchains)]
    found["data"] = [
        {"name": name, "before": before, "after": after, "stages": stages}
        for (name, before, after), stages in sorted(data.items())
    ]
    return found


def _params(stage: StageFacts, old: PastStage) -> Iterator[Row]:
    before, after = (
        dict(old.record.parts.get("params") or {}),
        dict(stage.parts.get("params") or {}),
    )
    for part in _ENVIRONMENT:
        one, two = old.record.parts.get(part), stage.parts.get(part)
        if one != two:
            before[part], after[part] = one, two
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield {
                "stage": stage.name,
                "name": name,
                "before": before.get(name),
                "after": after.get(name),
            }


def _code(stage: StageFacts, old: PastStage) -> Iterator[Row]:
    parts, past = stage.parts, old.record.parts
    if any(parts.get(name) != past.get(name) for name in _CODE):
        shown = "command" if "command" in parts else "code"
        yield {"name": stage.name, "before": past.get(shown), "after": parts.get(shown)}


def _toolchain(stage: StageFacts, old: PastStage) -> Iterator[Row]:
    before, after = old.record.parts.get("toolchain"), stage.parts.get("toolchain")
    if before != after:
        yield {"name": stage.toolchain or stage.name, "before": before, "after": after}


def _metrics(stage: StageFacts, old: PastStage) -> Iterator[Row]:
    for name in sorted(stage.metrics.keys() | old.metrics.keys()):
        before, after = old.metrics.get(name), stage.metrics.get(name)
        if before != after:
            yield {"stage": stage.name, "metric": name, "before": before, "after": after}


def _data(stage: StageFacts, old: PastStage) -> Iterator[tuple[str, str, str]]:
    """Datasets and files that a stage read: name, MD5 before, MD5 after."""
    made = (old.record.parts.get("inputs") or {}).keys()
    for role, value in stage.inputs.items():
        items = value if isinstance(value, list) else [value]
        names = [str(i["from"]) for i in items if _is_data(str(i["from"]))]
        if not names or role not in made:
            continue
        before, after = md5s_of(old, role), md5s_of(stage, role)
        if len(before) != len(names) or len(after) != len(names):
            if before != after:
                yield f"{stage.name}.{role}", ", ".join(before), ", ".join(after)
            continue
        for name, one, two in zip(names, before, after, strict=True):
            if one != two:
                yield name.removeprefix("datasets."), one, two


def _is_data(source: str) -> bool:
    return source.startswith(("datasets.", "./", "../", "/"))


def sizes_of(past: Past, facts: ReleaseFacts) -> Iterator[Row]:
    """How many bytes the artifacts have, where they have others than before."""
    for artifact in facts.artifacts:
        before = past.artifacts.get(artifact.name)
        if before is not None and before.size != artifact.size:
            yield {"artifact": artifact.name, "before": before.size, "after": artifact.size}


def md5s_of(stage: StageFacts | PastStage, role: str) -> list[str]:
    """What an input held; one for each item of a list."""
    parts = stage.parts if isinstance(stage, StageFacts) else stage.record.parts
    keyed = (parts.get("inputs") or {}).get(role)
    return [str(md5) for _, md5 in keyed] if isinstance(keyed, list) else [str(keyed)]
