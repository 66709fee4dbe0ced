"""Which stages speak of what is released, and which of variants that were not chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
    todo = [(artifact.stage, artifact.md5) for artifact in facts.artifacts]
    while todo:
        name, md5 = todo.pop()
        known.add(md5)
        stage = makers.pop(name, None)
        todo += [] if stage is None else _parents(stage, facts.stages)
    return known


def _parents(stage: StageFacts, stages: Sequence[StageFacts]) -> list[tuple[str, str]]:
    """(stage, MD5) of what a stage made its outputs from.

    Reports are no parents: a package holds those of variants too. And what hands on one of its
    inputs as it is has chosen it: the others lead nowhere.
    """
    judges = {judge.name for judge in stages if _judges(judge)}
    reports = {
        str(out.get("md5"))
        for maker in stages
        for out in maker.outputs.values()
        if out.get("type") == "Report"
    }
    found = [
        (come.rpartition(".")[0], md5)
        for given in stage.inputs.values()
        for come, md5 in origins(given)
        if md5 not in reports and come.rpartition(".")[0] not in judges
    ]
    made = {str(out.get("md5")) for out in stage.outputs.values()}
    return [origin for origin in found if origin[1] in made] or found


def origins(given: Json) -> Iterator[tuple[str, str]]:
    """(where it came from, its MD5) of one input, or of each of a list."""
    for item in given if isinstance(given, list | tuple) else [given]:
        if isinstance(item, Mapping):
            yield str(item.get("from", "")), str(item.get("md5", ""))
