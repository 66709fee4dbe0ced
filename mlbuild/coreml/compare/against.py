"""The story of a comparison: record, walk, accuse, measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..mil.body import ProgramBody
from ..model import Model, load
from ..outline import outline
from ..package import open_model
from .comparison import Comparison, Guilty, OutputRow, Row
from .figures import figures
from .halves import rounded_away
from .judge import accuse, damage, outside, ranked
from .matching import SAME, Index
from .misplaced import misplaced
from .recording import Reference, Sample
from .rounding import Originals
from .settling import partings
from .stepping import Steps
from .unstepped import coarsest, compare_unstepped
from .walk import Walk

_LOCAL = 100 * SAME  # smaller local errors are not followed to the outputs
_MEASURED = 16


def compare(
    reference: Reference,
    candidate: str | Path,
    samples: Sequence[Sample],
    *,
    function: str | None = None,
) -> Comparison:
    """Compare a Core ML model with what it came from, operator by operator.

    Args:
        reference: What is taken to be right: see ``TorchReference``, ``CoreMLReference`` and
            their siblings.
        candidate: An ``.mlpackage`` or ``.mlmodel``. Operations of an ML Program are run one at
            a time; models of other types are compared by the values that they show.
        samples: Inputs by the candidate's names, as ``Model.predict`` takes them. A few are
            enough, but what no sample reaches is not compared.
        function: Which function of a multi-function model.

    Raises:
        InputError: There are no samples, or they do not fit.
        ModelFileError, UnsupportedError: The candidate cannot be run.
    """
    if not samples:
        raise InputError("a comparison needs at least one sample")
    plain = load(candidate, precision="float32", function=function)
    declared = load(candidate, precision="declared", function=function)
    if not isinstance(plain.body, ProgramBody):
        bits = coarsest(outline(open_model(candidate).spec))
        labels = _labels(reference, plain)
        return compare_unstepped(reference, plain, declared, samples, bits, labels)
    recordings = [reference.record(sample) for sample in samples]
    walk = Walk(Steps(plain), Index(recordings), Originals(reference.weights()), samples)
    walk.start()
    pictures = [f.name for f in plain.description.inputs if f.image is not None]
    suspects = accuse(walk, partings(walk), pictures)
    if not suspects:
        suspects += misplaced(walk)
    if not suspects:  # else each wrong value might be one that float16 was never meant to hold
        suspects += rounded_away(walk)
    suspects = ranked([*_labels(reference, plain), *suspects]) or _of_other_sizes(walk)
    rows, outputs = _measure(walk, plain, declared)
    return Comparison(
        guilty=suspects[0] if suspects else None,
        suspects=tuple(suspects),
        first=next((row for row in rows if row.local > _LOCAL), None),
        rows=tuple(rows),
        outputs=tuple(outputs),
        values=len(plain.body.values()),
        samples=len(samples),
    )


def _labels(reference: Reference, candidate: Model) -> list[Guilty]:
    ours = tuple(str(label) for label in candidate.description.class_labels)
    theirs = reference.labels
    if not theirs or not ours or ours == theirs:
        return []
    name = candidate.description.predicted_feature or "label"
    wrong = next(
        (i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
        min(len(ours), len(theirs)),
    )
    got = repr(ours[wrong]) if wrong < len(ours) else "nothing"
    wanted = repr(theirs[wrong]) if wrong < len(theirs) else "nothing"
    order = "stand in another order" if sorted(ours) == sorted(theirs) else "are other ones"
    why = f"the labels {order}: at position {wrong} is {got}, the reference has {wanted}"
    use = outside("labels", name, f"{len(ours)} labels")
    return [Guilty(use, 1.0, why, "labels", "labels", "", 1.0, 1.0)]


def _of_other_sizes(walk: Walk) -> list[Guilty]:
    """An output that is of no size that the reference gives: two models of other things."""
    theirs = [walk.index.first.values[place] for _, place in walk.index.first.outputs]
    for name in walk.outputs():
        value = walk.clean[name][0]
        if value.numel() not in {t.value.numel() for t in theirs}:
            given = ", ".join(str(list(t.value.shape)) for t in theirs)
            why = f"the output {name} is {list(value.shape)}, the reference gives {given}"
            use, told = outside("outputs", name, str(list(value.shape))), str(theirs[0])
            return [Guilty(use, 1.0, why, "arithmetic", told, "", math.inf, math.inf)]
    return []


def _measure(walk: Walk, plain: Model, declared: Model) -> tuple[list[Row], list[OutputRow]]:
    """The figures of every value that was found in the reference."""
    matched = {n: m for n, m in walk.matches.items() if n in walk.steps.makers}
    outputs = walk.outputs()
    names = sorted({*matched, *outputs})
    kept = [_kept(model, names, walk.samples) for model in (plain, declared)]
    rows = []
    for step in walk.steps.steps:
        for name in step.outputs:
            if name in matched and (matched[name].strong or name in walk.forced):
                rows.append(_row(walk, name, kept))
    worst = sorted(rows, key=lambda row: -row.local)[:_MEASURED]
    followed = {row.value for row in worst if row.local > _LOCAL}
    rows = [
        replace(r, damage=damage(walk, walk.steps.makers[r.value], r.value))
        if r.value in followed
        else r
        for r in rows
    ]
    return rows, [_output(walk, name, place, kept) for name, place in outputs.items()]


def _kept(model: Model, names: list[str], samples: Sequence[Sample]) -> list[dict[str, Any]]:
    state = [model.body.make_state() for _ in samples]
    runs = [model.run(s, keep=names, state=t) for s, t in zip(samples, state, strict=True)]
    return [{n: torch.as_tensor(v) for n, v in run.values.items()} for run in runs]


def _row(walk: Walk, name: str, kept: list[list[dict[str, Any]]]) -> Row:
    match = walk.matches[name]
    recorded = walk.index.first.values[match.place]
    float32, declared = (
        figures([values[name] for values in side[: len(match.values)]], match.values)
        for side in kept
    )
    return Row(
        operator=walk.steps.makers[name].use,
        value=name,
        reference=str(recorded),
        scope=recorded.scope,
        declared=declared,
        float32=float32,
        local=walk.local.get(name, match.error),
    )


def _output(walk: Walk, name: str, place: int, kept: list[list[dict[str, Any]]]) -> OutputRow:
    theirs = walk.index.values(place)
    float32, declared = (
        figures([values[name] for values in side[: len(theirs)]], theirs) for side in kept
    )
    return OutputRow(name, str(walk.index.first.values[place]), declared, float32)
