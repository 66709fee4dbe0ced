"""What a classifier tells apart: its labels, how each fares, and what is taken for what."""

from __future__ import annotations

from mlbuild.release.documents import wording
from mlbuild.release.documents.blocks import (
    Block,
    Code,
    Folded,
    Line,
    Paragraph,
    Picture,
    Section,
    Table,
    line,
)
from mlbuild.release.documents.figures import (
    Confusion,
    Label,
    by_label,
    confusion,
    judging,
    labels,
    main_model,
    plot,
)
from mlbuild.release.documents.pictures.matrix import MOST, matrix
from mlbuild.release.documents.pictures.reliability import reliability
from mlbuild.release.documents.pictures.shares import Point, meaning, shares
from mlbuild.release.documents.quality import cell, least
from mlbuild.release.facts import ReleaseFacts

_FEW = 12  # labels up to which Markdown shows the matrix as a table
_MANY, _WORST = 40, 20  # labels of which only the worst are drawn, and how many those are
_TOP = 10  # mistakes that are listed


def labels_section(facts: ReleaseFacts) -> Section:
    """The labels, how each fares, and what is taken for what."""
    names, judge = labels(main_model(facts)), judging(facts)
    blocks: list[Block] = []
    if names:
        spans: list[str | Code] = []
        for name in names:
            spans += [Code(name), ", "]
        listed = Paragraph((f"{len(names)} labels: ", *spans[:-1]))
        blocks.append(listed if len(names) <= 60 else Folded(f"{len(names)} labels", (listed,)))
    if judge is not None:
        blocks += _recall(by_label(judge), judge.name, facts)
    found = confusion(facts)
    if found is not None:
        blocks += _confused(found)
        curve = reliability(
            f"Reliability of {found.stage}", plot(facts, found.stage, "reliability")
        )
        if curve is not None:
            text = (
                "How far its confidence can be trusted: on the diagonal it is right as often as "
                "it is sure."
            )
            blocks.append(Picture(curve, text))
    return Section("Labels", tuple(blocks))


def _recall(found: list[Label], stage: str, facts: ReleaseFacts) -> list[Block]:
    """A picture of the recall of each label, of many that of the worst, and a table of all."""
    rows = tuple(
        (line(Code(label.label)), *_share(label.recall), *_share(label.precision)[:1])
        for label in found
    )
    header = ("label", "recall", "95 % interval", "n", "precision")
    table = Table(header, rows, frozenset({1, 2, 3, 4}))
    folded = Folded(f"Recall and precision of {len(rows)} labels", (table,))
    points = _points(found, stage, facts)
    title = f"Recall of each label, by {stage}"
    if len(points) > _MANY:
        points = sorted(points, key=lambda p: (p.now.value, p.name))[:_WORST]
        title = f"The {_WORST} labels with the lowest recall, by {stage}"
    if not points:
        return [folded]
    return [Picture(shares(title, points), f"{title}: {meaning(points)}."), folded]


def _points(found: list[Label], stage: str, facts: ReleaseFacts) -> list[Point]:
    earlier = {
        row["metric"]: wording.measured(row.get("before"))
        for row in facts.change.metrics
        if row["stage"] == stage
    }
    gates = {gate.metric: least((gate,)) for gate in facts.gates if gate.stage == stage}
    named = [(f"recall.{label.label}", label) for label in found]
    return [
        Point(label.label, label.recall, earlier.get(metric), gates.get(metric))
        for metric, label in named
        if label.recall is not None
    ]


def _share(recorded: wording.Measured | None) -> tuple[Line, Line, Line]:
    """Value, interval and n."""
    if recorded is None:
        return (), (), ()
    n = "" if recorded.n is None else f"{recorded.n:,}"
    return cell(wording.value(recorded)), cell(wording.interval(recorded)), cell(n)


def _confused(found: Confusion) -> list[Block]:
    blocks: list[Block] = []
    few = len(found.labels) <= _FEW
    title = f"Confusion matrix of {found.stage}: rows are the truth, columns the answers"
    if len(found.labels) <= MOST:
        instead = (_counts(found),) if few else ()
        blocks.append(Picture(matrix(title, found), f"{title}.", instead))
    mistakes = found.mistakes()[:_TOP]
    if mistakes:
        rows = tuple(
            (line(Code(t)), line(Code(p)), line(str(count)), line(f"{share:.3f}"))
            for count, t, p, share in mistakes
        )
        header = ("truth", "answer", "times", "share of the truth's")
        table = Table(header, rows, frozenset({2, 3}))
        blocks.append(Folded("What is most often taken for what", (table,)))
    return blocks


def _counts(found: Confusion) -> Table:
    rows = tuple(
        (line(Code(label)), *(cell(str(n) if n else "") for n in row))
        for label, row in zip(found.labels, found.counts, strict=True)
    )
    numbers = frozenset(range(1, len(found.labels) + 1))
    return Table(("truth \\ answer", *found.labels), rows, numbers)
