"""From every model's answers to the columns of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..._shared.parity import figures
from ..._shared.parity.aligning import brought, pair
from ..._shared.parity.predicted import PredictedSide
from ..._shared.predictions.form import About
from ..._shared.problem.problem import Problem

_TEXT = "US"


@dataclass(frozen=True)
class Column:
    """One model's figures against the reference. ``said`` is its best class, by sample."""

    name: str
    about: About
    accuracy: figures.Share | None
    agreement: figures.Share | None
    psnr_db: float
    max_abs: float
    said: Mapping[str, str]


def columns_of(
    reference: PredictedSide, sides: Mapping[str, PredictedSide], truth: Mapping[str, str]
) -> list[Column]:
    """Figures of each model.

    Args:
        reference: what they are held against.
        sides: answers by name of the model.
        truth: labels by sample, where there are any.

    Raises:
        Problem: a model was asked about other samples, or has other labels or outputs.
    """
    for side in sides.values():
        side.adopt_labels(reference.labels)
        reference.adopt_labels(side.labels)
    return [_column(name, reference, side, truth) for name, side in sides.items()]


def _column(
    name: str, reference: PredictedSide, side: PredictedSide, truth: Mapping[str, str]
) -> Column:
    samples = list(reference.found.samples)
    if list(side.found.samples) != samples:
        raise Problem(f"{name} was asked about {len(side.found.samples)} other samples")
    try:
        if reference.labels and side.labels:
            return _classes(name, reference, side, truth)
        return _values(name, reference, side)
    except Problem as problem:
        raise Problem(f"{name}: {problem}", problem.hint) from problem


def _classes(
    name: str, reference: PredictedSide, side: PredictedSide, truth: Mapping[str, str]
) -> Column:
    odd = sorted(set(reference.labels) ^ set(side.labels))
    if odd:
        raise Problem(f"the models have different labels, such as {odd[0]!r}")
    samples = list(reference.found.samples)
    places = [side.labels.index(label) for label in reference.labels]
    ours = np.stack([reference.at(s, classes=True)["logits"] for s in samples])
    theirs = np.stack([side.at(s, classes=True)["logits"][places] for s in samples])
    ours, theirs = figures.centred(ours), figures.centred(theirs)
    if not np.isfinite(theirs).all():
        raise Problem("the model gives values that are not finite")
    best = [figures.ranking(values)[:, 0] for values in (ours, theirs)]
    said = {s: reference.labels[i] for s, i in zip(samples, best[1], strict=True)}
    known = [s for s in samples if truth.get(s) in reference.labels]
    return Column(
        name=name,
        about=side.about,
        accuracy=figures.share(np.array([said[s] == truth[s] for s in known])) if known else None,
        agreement=figures.share(best[0] == best[1]),
        psnr_db=figures.psnr(ours, theirs),
        max_abs=float(np.abs(ours - theirs).max()),
        said=said,
    )


def _values(name: str, reference: PredictedSide, side: PredictedSide) -> Column:
    """Models that are no classifiers: the worst of their outputs."""
    ours: dict[str, list[np.ndarray]] = {}
    theirs: dict[str, list[np.ndarray]] = {}
    pairs: dict[str, str] = {}
    for sample in reference.found.samples:
        wanted, found = reference.at(sample, classes=False), side.at(sample, classes=False)
        pairs = pairs or pair(wanted, found)
        for output, value in brought(found, wanted, pairs).items():
            ours.setdefault(output, []).append(wanted[output].reshape(-1))
            theirs.setdefault(output, []).append(value.reshape(-1))
    both = {n: (np.concatenate(ours[n]), np.concatenate(theirs[n])) for n in ours}
    numbers = [(a, b) for a, b in both.values() if a.dtype.kind not in _TEXT]
    texts = [(a.astype(str) == b.astype(str)) for a, b in both.values() if a.dtype.kind in _TEXT]
    return Column(
        name=name,
        about=side.about,
        accuracy=None,
        agreement=figures.share(np.concatenate(texts)) if texts else None,
        psnr_db=min((figures.psnr(a, b) for a, b in numbers), default=figures.EQUAL_DB),
        max_abs=max((float(np.abs(a - b).max()) for a, b in numbers), default=0.0),
        said={},
    )
