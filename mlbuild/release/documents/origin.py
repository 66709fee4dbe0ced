"""What a release was made from: code, data, parameters, toolchains; and what it holds."""

from __future__ import annotations

from mlbuild.release.documents import wording
from mlbuild.release.documents.blocks import (
    Block,
    Code,
    Folded,
    Line,
    Link,
    Paragraph,
    Section,
    Table,
    line,
)
from mlbuild.release.facts import DatasetFacts, ReleaseFacts


def made_from_section(facts: ReleaseFacts) -> Section:
    """The commit and pipeline, datasets, parameters, stages and toolchains."""
    lead: list[Line] = [
        line("Pipeline ", Code(facts.pipeline), " at commit ", Code(facts.commit), ".")
    ]
    if facts.repository:
        lead.append(line("Repository: ", Link(facts.repository, facts.repository), "."))
    if facts.profiles:
        lead.append(line("Profiles: ", *_listed(facts.profiles), "."))
    if facts.sets:
        lead.append(line("Set on the command line: ", *_listed(facts.sets), "."))
    blocks: list[Block] = [Paragraph(text) for text in lead]
    blocks += _datasets(facts.datasets)
    blocks += _params(facts)
    blocks += _stages(facts)
    blocks += _toolchains(facts)
    return Section("What it was made from", tuple(blocks))


def _listed(names: tuple[str, ...]) -> list[str | Code]:
    spans: list[str | Code] = []
    for name in names:
        spans += [Code(name), ", "]
    return spans[:-1]


def _datasets(datasets: tuple[DatasetFacts, ...]) -> list[Block]:
    rows = tuple(
        (
            line(Code(data.name)),
            line(Code(data.location)),
            line(_frozen(data)),
            line("" if data.size is None else wording.size(data.size)),
            line(Code(data.md5)),
        )
        for data in datasets
    )
    header = ("dataset", "from", "version", "size", "MD5")
    return [Table(header, rows, frozenset({3}))] if rows else []


def _frozen(data: DatasetFacts) -> str:
    told = (data.source.get(key) for key in ("version", "rev", "commit"))
    return next((wording.short(value) for value in told if value), "")


def _params(facts: ReleaseFacts) -> list[Block]:
    rows = tuple(
        (line(Code(name)), line(Code(wording.told(facts.params[name]))))
        for name in sorted(facts.params)
    )
    return (
        [Folded("Parameters of the pipeline", (Table(("parameter", "value"), rows),))]
        if rows
        else []
    )


def _stages(facts: ReleaseFacts) -> list[Block]:
    rows = tuple(
        (line(Code(s.name)), line(Code(s.kind or "run")), line(Code(wording.short(s.key))))
        for s in facts.stages
    )
    return [Folded(f"{len(rows)} stages", (Table(("stage", "kind", "key"), rows),))] if rows else []


def _toolchains(facts: ReleaseFacts) -> list[Block]:
    rows = []
    for name in sorted(facts.toolchains):
        told = facts.toolchains[name]
        packages = told.get("packages") or {}
        pinned = ", ".join(f"{p} {packages[p]}" for p in sorted(packages))
        rows.append((line(Code(name)), line(str(told.get("python", ""))), line(pinned)))
    table = Table(("toolchain", "Python", "packages"), tuple(rows))
    return [Folded(f"Toolchains: {len(rows)}", (table,))] if rows else []


def files_section(facts: ReleaseFacts) -> Section:
    """The artifacts and the SHA-256 of each of their files."""
    blocks: list[Block] = []
    for artifact in facts.artifacts:
        about = f", {artifact.type}, {wording.size(artifact.size)}, made by "
        lead = line(Code(artifact.name), about, Code(artifact.stage), ": ", Code(artifact.path))
        rows = tuple(
            (line(Code(f.path)), line(wording.size(f.size)), line(Code(f.sha256)))
            for f in sorted(artifact.files, key=lambda f: f.path)
        )
        table = Table(("file", "size", "SHA-256"), rows, frozenset({1}))
        blocks += [Paragraph(lead), Folded(f"Files of {artifact.name}: {len(rows)}", (table,))]
    return Section("Files", tuple(blocks))
