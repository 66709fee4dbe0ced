"""How good the model is: its figures, and agreement with the model it came from."""

from __future__ import annotations

from collections import Counter

from mlbuild.release.documents import gating, wording
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
    EQUAL_DB,
    Figure,
    figures,
    parity,
)
from mlbuild.release.documents.lineage import origins
from mlbuild.release.documents.pictures.bars import Bar, bars
from mlbuild.release.documents.pictures.shares import Point, meaning, shares
from mlbuild.release.facts import GateFacts, ReleaseFacts, StageFacts

_PARITY = (
    "Answers to the same samples, compared on Linux: mlbuild's reference runtime runs Core ML "
    "models, those of other frameworks run in their own. The peak signal to noise ratio of 40 dB "
    "is an error of a hundredth of the outputs' range, 60 dB one of a thousandth."
)
_SCALE_DB = 60.0  # the least that the scale of agreement shows


def measured_section(facts: ReleaseFacts) -> Section:
    """Every figure with n, interval, gate and what it was; shares as a picture too."""
    found = figures(facts)
    blocks: list[Block] = []
    points = _points(found)
    if points:
        title = "Shares of samples"
        blocks.append(Picture(shares(title, points), f"{title}: {meaning(points)}."))
    header = ["stage", "metric", "value", "95 % interval", "n", "changed from", "gate"]
    rows = tuple(_figure(f) for f in found)
    shown = [i for i in range(len(header)) if any(any(r[i]) for r in rows)]
    table = Table(
        tuple(header[i] for i in shown),
        tuple(tuple(row[i] for i in shown) for row in rows),
        frozenset(at for at, i in enumerate(shown) if 2 <= i <= 5),
    )
    return Section("Figures", (*blocks, table, *_meanings(found)) if rows else ())


def _meanings(found: list[Figure]) -> list[Block]:
    """What the kinds say of their metrics."""
    told = {f.metric: str(f.meaning["description"]) for f in found if f.meaning.get("description")}
    rows = tuple((line(Code(metric)), line(told[metric])) for metric in sorted(told))
    table = Table(("metric", "meaning"), rows)
    return [Folded("What the figures mean", (table,))] if rows else []


def _points(found: list[Figure]) -> list[Point]:
    """Shares with an interval; the stage is named where several have the same one."""
    drawn = [f for f in found if f.now.low is not None and not f.is_of_label]
    times = Counter(f.metric for f in drawn)
    return [
        Point(
            f.metric if times[f.metric] == 1 else f"{f.metric} ({f.stage})",
            f.now,
            f.before,
            least(f.gates),
        )
        for f in drawn
    ]


def least(gates: tuple[GateFacts, ...]) -> float | None:
    """The lower limit that gates set, the strictest of several."""
    found = [g.limits[k] for g in gates for k in ("min", "min_lower") if k in g.limits]
    return max((float(v) for v in found if isinstance(v, int | float)), default=None)


def _figure(figure: Figure) -> tuple[Line, ...]:
    unit = wording.unit(figure.metric, figure.meaning)
    n = figure.now.n
    before = "" if figure.before is None else wording.value(figure.before, unit)
    gates = "; ".join(f"{gating.limits(g)}: {gating.stood(g)}" for g in figure.gates)
    return (
        line(Code(figure.stage)),
        line(Code(figure.metric)),
        line(wording.value(figure.now, unit)),
        cell(wording.interval(figure.now)),
        cell("" if n is None else f"{n:,}"),
        cell(before),
        cell(gates),
    )


def cell(text: str) -> Line:
    """A cell of a table, empty where there is nothing to tell."""
    return line(text) if text else ()


def parity_section(facts: ReleaseFacts) -> Section:
    """How close the released model's answers are to those of the model it came from."""
    bars_, rows = [], []
    for stage, psnr in parity(facts):
        asked = [g for g in facts.gates if (g.stage, g.metric) == (stage.name, "psnr_db")]
        told = "equal" if psnr.value >= EQUAL_DB else f"{psnr.value:.1f} dB"
        bars_.append(Bar(stage.name, min(psnr.value, 120.0), told, limit=least(tuple(asked))))
        sides = (_origin(stage, "candidate"), _origin(stage, "reference"))
        rows.append((line(Code(stage.name)), *sides, line(told)))
    if not rows:
        return Section("Parity", ())
    title = "Parity with the source model, dB"
    svg = bars(title, bars_, most=_SCALE_DB)
    gated = ": the stroke is the gate" if any(b.limit is not None for b in bars_) else ""
    table = Table(("stage", "compared", "with", "PSNR"), tuple(rows), frozenset({3}))
    return Section("Parity", (Paragraph(line(_PARITY)), Picture(svg, f"{title}{gated}."), table))


def _origin(stage: StageFacts, role: str) -> Line:
    return tuple(Code(come) for come, _ in origins(stage.inputs.get(role)))
