"""Release notes."""

from __future__ import annotations

from mlbuild.release.documents import changes, gating, inside, markdown, quality, wording
from mlbuild.release.documents.blocks import Code, Listing, Paragraph, Section, Table, line
from mlbuild.release.facts import ReleaseFacts


def notes_text(facts: ReleaseFacts) -> str:
    """NOTES.md, which is also the text of a release on a code host."""
    return markdown.render(f"{facts.name} {facts.version}", notes(facts))


def notes(facts: ReleaseFacts) -> list[Section]:
    """What changed, how the gates stood, what can be downloaded and how it is checked."""
    sections = [Section("", changes.why(facts)), *changes.sections(facts)]
    if not facts.change.metrics:
        sections.append(quality.measured_section(facts))
    sections += [
        Section("Gates", gating.table(facts)),
        Section("Artifacts", (_artifacts(facts),)),
        _check(facts),
    ]
    return [section for section in sections if section.blocks]


def _artifacts(facts: ReleaseFacts) -> Table:
    rows = tuple(
        (line(Code(a.name)), line(Code(a.path)), line(a.type), line(wording.size(a.size)))
        for a in facts.artifacts
    )
    return Table(("artifact", "path", "type", "size"), rows, frozenset({3}))


def _check(facts: ReleaseFacts) -> Section:
    text = "Wherever its folder lies, offline; in a clone of its repository also against the tag:"
    return Section("To check it", (Paragraph(line(text)), Listing(inside.check(facts), "sh")))
