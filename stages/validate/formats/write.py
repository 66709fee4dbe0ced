"""The table as JSON and as a page."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from ..._shared.images.decoding import open_picture
from ..._shared.page.page import Card, Figure, Section, thumbnail
from ..._shared.page.page import write as write_page
from ..._shared.parity import figures
from ..._shared.parity.samples import find
from ..._shared.predictions.form import About
from .table import Column

VERSION = 1
_HEADER = ("model", "format", "size, MB", "accuracy", "agreement", "PSNR, dB", "largest error")


def write(
    job: Any,
    reference: About,
    columns: list[Column],
    metrics: dict[str, Any],
    first: str | None,
) -> None:
    """Write both outputs.

    Args:
        job: for its outputs, samples and parameters.
        reference: what all were held against.
        columns: one for each model.
        metrics: as they were recorded.
        first: the model that is the reference itself, where none was given.
    """
    parted = _parted(columns)
    report = {
        "version": VERSION,
        "kind": "validate/formats",
        "reference": {"model": reference.model, "format": reference.format},
        **metrics,
        "table": [_facts(column) for column in columns],
        "parted": [{"sample": s, "said": {c.name: c.said[s] for c in columns}} for s in parted],
    }
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    rows = [_row(column, column.name == first) for column in columns]
    shown = parted[: job.params.worst]
    by_name = {s.name: s for s in find(job.inputs["samples"])} if shown else {}
    cards = [_card(by_name.get(name), name, columns) for name in shown]
    lead = (
        f"{len(columns)} models on the same {metrics['samples']} samples, "
        f"against {reference.model} ({reference.format})."
    )
    counts = [
        Figure("models", str(len(columns))),
        Figure("samples", str(metrics["samples"])),
        Figure("samples on which they disagree", str(len(parted))),
    ]
    sections = [Section("Formats", header=_HEADER, rows=rows)]
    if cards:
        sections.append(Section("Where they disagree", cards=cards))
    write_page(job.outputs["page"], "Formats", lead, counts, sections)


def _facts(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "format": column.about.format,
        "model": column.about.model,
        "sha256": column.about.sha256,
        "size_mb": column.about.size / 1e6,
        "accuracy": column.accuracy.to_json() if column.accuracy else None,
        "agreement": column.agreement.to_json() if column.agreement else None,
        "psnr_db": column.psnr_db,
        "max_abs": column.max_abs,
    }


def _row(column: Column, reference: bool) -> list[str]:
    equal = column.psnr_db >= figures.EQUAL_DB
    return [
        column.name,
        column.about.format,
        f"{column.about.size / 1e6:.3f}",
        _share(column.accuracy),
        "reference" if reference else _share(column.agreement),
        "equal" if equal else f"{column.psnr_db:.1f}",
        f"{column.max_abs:.3g}",
    ]


def _share(share: figures.Share | None) -> str:
    return f"{share.value:.3f} (n {share.n})" if share else ""


def _parted(columns: list[Column]) -> list[str]:
    """Samples to which models say different things; those with most voices against come first."""
    told = [c for c in columns if c.said]
    if not told:
        return []
    against = {
        sample: len(told) - max(Counter(c.said[sample] for c in told).values())
        for sample in told[0].said
    }
    return sorted((s for s, count in against.items() if count), key=lambda s: (-against[s], s))


def _card(sample: Any, name: str, columns: list[Column]) -> Card:
    lines = [f"{c.name}: {c.said[name]}" for c in columns if c.said]
    picture = sample is not None and sample.is_picture
    return Card(name, lines, thumbnail(open_picture(sample.path)) if picture else None)
