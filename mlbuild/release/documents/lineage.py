"""Which stages speak of what is released, and which of variants that were not chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlbuild.records import Json
from mlbuild.release.facts import ReleaseFacts, StageFacts

_JUDGED = ("candidate", "model")  # roles of what a stage gives its verdict on


def spoken_of(facts: ReleaseFacts) -> list[StageFacts]:
    """The stages without those that judged a model which is no ancestor of an artifact."""
    known = _lineage(facts)
    about = [stage for stage in facts.stages if _is_about(stage, known)]
    return about if any(map(_judges, about)) else list(facts.stages)


def _judges(stage: StageFacts) -> bool:
    return (stage.kind or "").startswith("validate/")


def _is_about(stage: StageFacts, known: set[str]) -> bool:
    judged = {md5 for role in _JUDGED for _, md5 in origins(stage.inputs.get(role))}
    return not _judges(stage) or not judged or bool(judged & known)


def _lineage(facts: ReleaseFacts) -> set[str]:
    """The digests of the artifacts and of all that they were made from."""
    makers = {stage.name: stage for stage in facts.stages}
    known: set[str] = set()
    seen: set[str] = set()
    todo = [(artifact.stage, artifact.md5) for artifact in facts.artifacts]
    while todo:
        name, md5 = todo.pop()
        known.add(md5)
        if name in seen or name not in makers:
            continue
        seen.add(name)
        found = [origin for given in makers[name].inputs.values() for origin in origins(given)]
        # What hands on one of its inputs as it is has chosen it: the others lead nowhere.
        chosen = [origin for origin in found if origin[1] == md5]
        todo += [(come.rpartition(".")[0], digest) for come, digest in chosen or found]
    return known


def origins(given: Json) -> Iterator[tuple[str, str]]:
    """(where it came from, its MD5) of one input, or of each of a list."""
    for item in given if isinstance(given, list | tuple) else [given]:
        if isinstance(item, Mapping):
            yield str(item.get("from", "")), str(item.get("md5", ""))
