"""The samples, and what is right for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..._shared.images.listing import Item, labelled
from ..._shared.parity.samples import Sample, find, spread
from ..._shared.problem.problem import Problem
from .asking import Labels, Models

_SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Samples:
    """What both models are asked; ``truth`` is a label or a number for each, or None."""

    samples: Sequence[Sample]
    truth: Sequence[Any] | None


def samples_of(job: Any, models: Models) -> Samples:
    """All samples with what is right for them, as far as it is known.

    Raises:
        Problem: there are none, or neither model knows a label.
    """
    source, params = job.inputs["samples"], job.params
    if models.takes_pictures:
        items = _labelled(source, params, models.labels)
        if items is None:
            return Samples(find(source, params.limit), None)
        return _pictures(job, items, models.labels)
    samples = find(source, params.limit)
    if samples[0].values is None:
        return Samples(samples, None)
    models.ask_rows()
    return _rows(job, samples, models)


def _labelled(source: Path, params: Any, labels: Labels | None) -> list[Item] | None:
    """The labelled pictures of a classifier; None where folders say nothing."""
    if labels is None or not params.labelled:
        return None
    if source.is_dir() and not (source / "labels.csv").is_file():
        below = (p for p in source.iterdir() if p.is_dir() and not p.name.startswith("."))
        if not any(below):
            return None  # a flat folder: pictures without labels
    return labelled(source, params.path_column, params.label_column)


def _pictures(job: Any, items: list[Item], labels: Labels | None) -> Samples:
    assert labels is not None
    params, known = job.params, {*labels.released, *labels.today}
    unused = sorted(set(params.labels) - {item.label for item in items})
    if unused:
        had = _some({item.label for item in items})
        raise Problem(f"labels: the samples have no {unused[0]!r}", f"they have {had}")
    items = [replace(item, label=params.labels.get(item.label, item.label)) for item in items]
    unknown = {item.label for item in items} - known
    if unknown and params.unknown == "fail":
        raise Problem(
            f"neither model knows {len(unknown)} of the labels: {_some(unknown)}",
            "map them with `labels`, set `unknown: skip`, or `labelled: false` where folders are "
            f"no labels; today's model knows {_some(labels.today)}",
        )
    items = [item for item in items if item.label not in unknown]
    if not items:
        raise Problem(f"neither model knows one of the labels: {_some(unknown)}")
    if unknown:
        job.log(f"left out, because neither model knows them: {_some(unknown)}")
    items = spread(items, params.limit)
    return Samples([Sample(i.name, i.path) for i in items], [i.label for i in items])


def _rows(job: Any, samples: Sequence[Sample], models: Models) -> Samples:
    """Rows of a table with the cells of the target, where something names it."""
    column = _target(job, samples, models.target) if job.params.labelled else None
    if column is None:
        return Samples(samples, None)
    cells = [(sample.values or {})[column] for sample in samples]
    if models.labels is None:
        pairs = zip(samples, cells, strict=True)
        return Samples(samples, [_number(sample, column, cell) for sample, cell in pairs])
    known = {*models.labels.released, *models.labels.today}
    truth = [job.params.labels.get(text, text) for text in map(as_text, cells)]
    unknown = set(truth) - known
    if unknown and (job.params.unknown == "fail" or not set(truth) & known):
        raise Problem(
            f"neither model knows {len(unknown)} of the labels: {_some(unknown)}",
            f"map them with `labels`, or set `unknown: skip`; they know {_some(known)}",
        )
    kept = [(s, label) for s, label in zip(samples, truth, strict=True) if label in known]
    if unknown:
        job.log(f"left out, because neither model knows them: {_some(unknown)}")
    return Samples([s for s, _ in kept], [label for _, label in kept])


def _target(job: Any, samples: Sequence[Sample], learnt: str | None) -> str | None:
    """The column that says what is right."""
    column, columns = job.params.target or learnt, samples[0].values or {}
    if column is None:
        job.log("nothing says which column is right: name it by `target`")
    elif column not in columns:
        if job.params.target is not None:
            raise Problem(f"target: the table has no column '{column}'", f"it has {_some(columns)}")
        return None  # samples without what is to be told: unlabelled
    return column


def as_text(cell: Any) -> str:
    """A cell or an answer as a label's name: 3.0 and 3 are the same."""
    value = cell.item() if hasattr(cell, "item") else cell
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _number(sample: Sample, column: str, cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise Problem(f"{sample.name}: '{cell}' in column '{column}' is no number") from None


def _some(names: Any) -> str:
    names = sorted(names)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
