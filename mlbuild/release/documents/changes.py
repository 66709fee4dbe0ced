"""How a release differs from the last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlbuild.records import Json
from mlbuild.release.documents import wording
from mlbuild.release.documents.blocks import (
    Block,
    Bullets,
    Code,
    Folded,
    Line,
    Paragraph,
    Section,
    Strong,
    Table,
    line,
)
from mlbuild.release.documents.figures import is_of_label, meaning
from mlbuild.release.documents.wording import measured
from mlbuild.release.facts import ReleaseFacts

_LEVELS = {
    "major": "A major release: an app that takes it has to be looked at.",
    "minor": "A minor release: the model answers differently, an app takes it as it is.",
    "patch": "A patch: the model's answers are those of the last release.",
    "none": "Nothing that counts for the version has changed.",
    "first": "The first release.",
}


def why(facts: ReleaseFacts) -> tuple[Block, ...]:
    """The level, the sentences that lead to it, and the reason if somebody chose another."""
    change = facts.change
    after = f" It follows {facts.previous}." if facts.previous else ""
    blocks: list[Block] = [Paragraph(line(_LEVELS.get(change.level, change.level) + after))]
    if change.why and change.level != "first":
        blocks.append(Bullets(tuple(line(text) for text in change.why)))
    if facts.reason:
        text = f"{facts.version} was chosen by hand: "
        blocks.append(Paragraph(line(Strong(text.strip()), " ", facts.reason)))
    return tuple(blocks)


def sections(facts: ReleaseFacts) -> list[Section]:
    """What changed, without what did not."""
    change = facts.change
    made = [
        Section("Inputs and outputs", (Bullets(tuple(line(t) for t in change.interface)),)),
        Section("Labels", _labels(change.labels_added, change.labels_removed)),
        Section("Metrics, before and after", metrics(facts)),
        Section("Size", _sizes(change.sizes)),
        Section("Parameters", _rows(("stage", "name"), change.params)),
        Section("Data", _rows(("name",), change.data)),
        Section("Code", _rows(("name",), change.code)),
        Section("Toolchains", _rows(("name",), change.toolchains)),
    ]
    return [section for section in made if any(map(_holds, section.blocks))]


def _holds(block: Block) -> bool:
    if isinstance(block, Bullets):
        return bool(block.items)
    return not isinstance(block, Table) or bool(block.rows)


def metrics(facts: ReleaseFacts) -> tuple[Block, ...]:
    """Every metric that differs, before and after; those of single labels by themselves."""
    stages = {stage.name: stage for stage in facts.stages}
    whole: list[tuple[Line, ...]] = []
    labels: list[tuple[Line, ...]] = []
    for row in facts.change.metrics:
        if not wording.alike(measured(row.get("before")), measured(row.get("after"))):
            metric = str(row["metric"])
            told = _metric(row, meaning(stages.get(str(row["stage"])), metric))
            (labels if is_of_label(metric) else whole).append(told)
    header = ("stage", "metric", "before", "after", "difference", "")
    numbers = frozenset({2, 3, 4})
    blocks: list[Block] = [Table(header, tuple(whole), numbers)] if whole else []
    if labels:
        table = Table(header, tuple(labels), numbers)
        blocks.append(Folded(f"{len(labels)} figures of single labels", (table,)))
    return tuple(blocks)


def _metric(row: Mapping[str, Json], told: Mapping[str, Json]) -> tuple[Line, ...]:
    name = str(row["metric"])
    unit = wording.unit(name, told)
    before, after = measured(row.get("before")), measured(row.get("after"))
    both = before is not None and after is not None
    difference = wording.difference(before, after) if before and after else ""
    return (
        line(Code(str(row["stage"]))),
        line(Code(name)),
        line("" if before is None else wording.full(before, unit)),
        line("" if after is None else wording.full(after, unit)),
        line(difference),
        line(_verdict(before, after, told) if both else ("gone" if before else "new")),
    )


def _verdict(
    before: wording.Measured | None, after: wording.Measured | None, told: Mapping[str, Json]
) -> str:
    """Better or worse where the kind tells which is which; and whether chance might explain it."""
    assert before is not None and after is not None
    words = []
    if told.get("better") in ("max", "min"):
        rose = after.value > before.value
        words.append("better" if rose == (told["better"] == "max") else "worse")
    if None not in (before.low, before.high, after.low, after.high):
        apart = after.low > before.high or after.high < before.low  # type: ignore[operator]
        words += [] if apart else ["intervals overlap"]
    return ", ".join(words)


def _sizes(rows: Sequence[Mapping[str, Json]]) -> tuple[Block, ...]:
    told = tuple(
        (
            line(Code(str(row["artifact"]))),
            line("" if row.get("before") is None else wording.size(row["before"])),
            line("" if row.get("after") is None else wording.size(row["after"])),
            line(wording.relative(row.get("before") or 0, row.get("after") or 0)),
        )
        for row in rows
    )
    return (Table(("artifact", "before", "after", ""), told, frozenset({1, 2, 3})),)


def _labels(added: Sequence[str], removed: Sequence[str]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for labels, came in ((added, "new"), (removed, "gone")):
        if labels:
            found: list[str | Code] = [f"{len(labels)} {came}: "]
            for label in labels:
                found += [Code(label), ", "]
            blocks.append(Paragraph(tuple(found[:-1])))
    return tuple(blocks)


def _rows(names: tuple[str, ...], rows: Sequence[Mapping[str, Json]]) -> tuple[Block, ...]:
    told = tuple(
        (
            *(line(Code(wording.told(row.get(name)))) for name in names),
            line(_side(row, "before")),
            line(_side(row, "after")),
        )
        for row in rows
    )
    return (Table((*names, "before", "after"), told),)


def _side(row: Mapping[str, Json], side: str) -> Code | str:
    value = row.get(side)
    return "" if value is None else Code(wording.short(value))
