"""Which of the recorded figures a reader of the release wants to see."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlbuild.records import Json
from mlbuild.release.documents.lineage import spoken_of
from mlbuild.release.documents.wording import Measured, alike, measured
from mlbuild.release.facts import GateFacts, ReleasedArtifact, ReleaseFacts, StageFacts

EQUAL_DB = 200.0  # what stages record where two models give the same
# What these record tells of how something was made; the manifest has it.
_MAKING = ("data", "import", "adapt", "convert", "quantize", "select", "predict", "package")
# Families with a member for each label: "recall.pug".
_PER_LABEL = ("recall", "precision", "f1", "iou", "ap50", "ap")
# Counts and echoes of parameters: they say nothing of how good a model is.
_COUNTS = {
    "samples", "labels", "images", "epochs", "files", "candidates", "chosen", "operators",
    "parameters", "specification_version", "unreadable", "strength", "by", "features", "rows",
    "size_mb",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one stage."""

    stage: str
    metric: str
    now: Measured
    meaning: Mapping[str, Json]
    before: Measured | None = None  # of the last release
    gates: tuple[GateFacts, ...] = ()

    @property
    def is_of_label(self) -> bool:
        """Whether it tells of one label only."""
        return is_of_label(self.metric)


@dataclass(frozen=True, slots=True)
class Label:
    """How a label fares."""

    label: str
    recall: Measured | None
    precision: Measured | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of answers: rows are the truth, columns the answers."""

    stage: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def mistakes(self) -> list[tuple[int, str, str, float]]:
        """(count, truth, answer, share of the truth's), the most frequent first."""
        found = [
            (count, self.labels[t], self.labels[p], count / max(sum(row), 1))
            for t, row in enumerate(self.counts)
            for p, count in enumerate(row)
            if t != p and count
        ]
        return sorted(found, key=lambda m: (-m[0], m[1], m[2]))


def figures(facts: ReleaseFacts) -> list[Figure]:
    """What stages measured, those that validate first; gated metrics of any stage too."""
    gates: dict[tuple[str, str], list[GateFacts]] = {}
    for gate in facts.gates:
        gates.setdefault((gate.stage, gate.metric), []).append(gate)
    earlier = {
        (row["stage"], row["metric"]): measured(row.get("before")) for row in facts.change.metrics
    }
    found = []
    for stage in sorted(spoken_of(facts), key=_rank):
        for metric in sorted(stage.metrics):
            now, place = measured(stage.metrics[metric]), (stage.name, metric)
            if now is None or not (place in gates or _is_told(stage, metric)):
                continue
            before = None if alike(earlier.get(place), now) else earlier.get(place)
            told = meaning(stage, metric)
            found.append(Figure(*place, now, told, before, tuple(gates.get(place, ()))))
    return found


def is_of_label(metric: str) -> bool:
    """Whether a metric tells of one label only: "recall.pug"."""
    family, dot, _ = metric.partition(".")
    return bool(dot) and family in _PER_LABEL


def meaning(stage: StageFacts | None, metric: str) -> Mapping[str, Json]:
    """What the kind tells of a metric; a family's for its members."""
    if stage is None:
        return {}
    family = f"{metric.partition('.')[0]}.*"
    return stage.meanings.get(metric) or stage.meanings.get(family) or {}


def verb(stage: StageFacts) -> str:
    """The first word of the kind; a command's is its own."""
    return (stage.kind or "run").partition("/")[0]


def _rank(stage: StageFacts) -> int:
    order = ("validate", "run", "train")
    return order.index(verb(stage)) if verb(stage) in order else len(order)


def _is_told(stage: StageFacts, metric: str) -> bool:
    if verb(stage) in _MAKING:
        return False
    return not is_of_label(metric) and metric not in _COUNTS


def judging(facts: ReleaseFacts) -> StageFacts | None:
    """The stage that tells how each label fares: the last that validates, else one that trains."""
    judged = [s for s in spoken_of(facts) if any(m.startswith("recall.") for m in s.metrics)]
    return min(reversed(judged), key=_rank, default=None)


def parity(facts: ReleaseFacts) -> list[tuple[StageFacts, Measured]]:
    """The stages that compared a model with the one it came from, and their PSNR."""
    found = [(s, measured(s.metrics.get("psnr_db"))) for s in spoken_of(facts)]
    return [(s, m) for s, m in found if m is not None]


def by_label(stage: StageFacts) -> list[Label]:
    """Recall and precision of each label that the stage met."""
    names = {metric.partition(".")[2] for metric in stage.metrics if is_of_label(metric)}
    return [
        Label(
            name,
            measured(stage.metrics.get(f"recall.{name}")),
            measured(stage.metrics.get(f"precision.{name}")),
        )
        for name in sorted(names)
    ]


def main_model(facts: ReleaseFacts) -> ReleasedArtifact | None:
    """The first artifact that is a model."""
    return next((a for a in facts.artifacts if a.model is not None), None)


def labels(artifact: ReleasedArtifact | None) -> tuple[str, ...]:
    """The names of a classifier's labels, in the model's own order."""
    model = (artifact.model if artifact else None) or {}
    return tuple(map(str, model.get("class_labels") or ()))


def confusion(facts: ReleaseFacts) -> Confusion | None:
    """The confusion matrix of the stage that judges, or of the last one that drew one."""
    judge = judging(facts)
    stages = [*spoken_of(facts), *([judge] if judge else [])]
    for stage in reversed(stages):
        pairs = list(_pairs(plot(facts, stage.name, "confusion")))
        if pairs:
            return _counted(stage.name, pairs, labels(main_model(facts)))
    return None


def plot(facts: ReleaseFacts, stage: str, name: str) -> list[Mapping[str, Json]]:
    """The rows of a plot, none where there is no such plot or it is none of ours."""
    folder = facts.plots.get(stage)
    file = None if folder is None else folder / f"{name}.json"
    if file is None or not file.is_file():
        return []
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return []
    return [r for r in rows if isinstance(r, dict)] if isinstance(rows, list) else []


def _pairs(rows: list[Mapping[str, Json]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        if "actual" in row and "predicted" in row:
            yield str(row["actual"]), str(row["predicted"])


def _counted(stage: str, pairs: list[tuple[str, str]], order: tuple[str, ...]) -> Confusion:
    seen = {name for pair in pairs for name in pair}
    known = [name for name in order if name in seen]
    names = (*known, *sorted(seen - set(known)))
    place = {name: i for i, name in enumerate(names)}
    counts = [[0] * len(names) for _ in names]
    for truth, answer in pairs:
        counts[place[truth]][place[answer]] += 1
    return Confusion(stage, names, tuple(map(tuple, counts)))
