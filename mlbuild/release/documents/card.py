"""The model card: what the model does, how well, for whom, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping

from mlbuild.records import Json
from mlbuild.release.documents import (
    changes,
    frontmatter,
    gating,
    inside,
    markdown,
    origin,
    quality,
    recognition,
    wording,
)
from mlbuild.release.documents.blocks import (
    Block,
    Bullets,
    Code,
    Folded,
    Glance,
    Line,
    Paragraph,
    Section,
    line,
    paragraphs,
)
from mlbuild.release.documents.figures import EQUAL_DB, judging, labels, main_model, parity
from mlbuild.release.documents.lineage import origins
from mlbuild.release.facts import ReleasedArtifact, ReleaseFacts, StageFacts

_USERS = (  # of the pipeline file's `card`, in this order
    ("intended_use", "Intended use"),
    ("out_of_scope", "Out of scope"),
    ("limits", "Limits"),
    ("ethics", "Ethics"),
)


def title(facts: ReleaseFacts) -> str:
    """The card's title with the version."""
    return f"{text_of(facts.card, 'title') or facts.name} {facts.version}"


def card_text(facts: ReleaseFacts) -> str:
    """README.md: front matter and the card."""
    return frontmatter.front_matter(facts) + markdown.render(title(facts), card(facts))


def card(facts: ReleaseFacts) -> list[Section]:
    """All sections; those that have nothing to tell are left out."""
    main = main_model(facts) or facts.artifacts[0]
    sections = [
        Section("", (*_words(facts.card.get("summary")), glance(facts))),
        *(Section(heading, _words(facts.card.get(key))) for key, heading in _USERS),
        quality.measured_section(facts),
        recognition.labels_section(facts),
        quality.parity_section(facts),
        inside.interface_section(main),
        inside.size_section(main),
        _changed(facts),
        Section("Gates", gating.table(facts)),
        inside.use_section(facts, main),
        origin.made_from_section(facts),
        origin.files_section(facts),
        _people(facts.card),
    ]
    return [section for section in sections if section.blocks]


def glance(facts: ReleaseFacts) -> Glance:
    """The figures that are looked for first."""
    main = main_model(facts)
    rows: list[tuple[str, Line]] = [("Version", line(facts.version))]
    if main is not None:
        rows += _of_model(main)
    elif facts.artifacts:
        rows.append(("Size", line(wording.size(facts.artifacts[0].size))))
    judge = judging(facts)
    accuracy = wording.measured(judge.metrics.get("accuracy")) if judge else None
    if judge is not None and accuracy is not None:
        rows.append(("Accuracy", line(wording.full(accuracy), ", by ", Code(judge.name))))
    agreed = [psnr.value for stage, psnr in parity(facts) if _judges(stage, main)]
    if agreed:
        least = min(agreed)
        told = "equal" if least >= EQUAL_DB else f"{least:.1f} dB"
        rows.append(("Verified on Linux", line(f"{told} to its source model")))
    rows.append(("Gates", line(gating.summary(facts.gates))))
    licence = text_of(facts.card, "licence")
    rows += [("Licence", line(licence))] if licence else []
    return Glance(tuple(rows))


def _judges(stage: StageFacts, main: ReleasedArtifact | None) -> bool:
    """Whether the stage compared the very model that is released."""
    judged = [md5 for _, md5 in origins(stage.inputs.get("candidate"))]
    return main is not None and main.md5 in judged


def _of_model(main: ReleasedArtifact) -> list[tuple[str, Line]]:
    model = main.model or {}
    rows: list[tuple[str, Line]] = [
        ("Size", line(wording.size(main.size))),
        ("Model", line(inside.consists(model))),
        ("Runs on", line(inside.systems(model))),
        ("Takes", line(inside.takes(model))),
    ]
    names = labels(main)
    return [*rows, ("Tells apart", line(f"{len(names)} labels"))] if names else rows


def text_of(card: Mapping[str, Json], key: str) -> str:
    """A text of the pipeline file's `card`, empty where it is not given."""
    value = card.get(key)
    return "" if value is None else wording.told(value).strip()


def _words(value: Json) -> tuple[Block, ...]:
    """What a user wrote: text with paragraphs, or a list."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, list | tuple):
        return (Bullets(tuple(line(wording.told(item)) for item in value)),) if value else ()
    return paragraphs(wording.told(value)) if value is not None else ()


def _changed(facts: ReleaseFacts) -> Section:
    heading = f"Changes since {facts.previous}" if facts.previous else "Changes"
    told = [Folded(s.title, s.blocks) for s in changes.sections(facts)]
    return Section(heading, (*changes.why(facts), *told))


def _people(card: Mapping[str, Json]) -> Section:
    authors = card.get("authors") or ()
    names = [authors] if isinstance(authors, str) else [wording.told(name) for name in authors]
    blocks: list[Block] = []
    if names:
        blocks.append(Paragraph(line("Made by " + ", ".join(names) + ".")))
    contact = text_of(card, "contact")
    if contact:
        blocks.append(Paragraph(line(f"Contact: {contact}")))
    return Section("Authors", tuple(blocks))
