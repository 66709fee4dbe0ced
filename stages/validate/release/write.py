"""The report as JSON and as a page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..._shared.images.decoding import open_picture
from ..._shared.page.page import Card, Figure, Section, thumbnail
from ..._shared.page.page import write as write_page
from ..._shared.paired.counting import mcnemar
from .judging import Answered
from .measuring import changes

VERSION = 1
_CHANGE = {1: "worse", 0: "", -1: "better"}


def write(
    job: Any,
    answered: Answered,
    metrics: dict[str, Any],
    digests: dict[str, str],
    unreadable: list[str],
) -> None:
    """Write both outputs."""
    steps = changes(answered, job.params.noise)
    rows = _by_sample(answered, steps)
    worst = _worst(answered, steps)[: job.params.worst]
    labels = answered.labels
    report = {
        "version": VERSION,
        "kind": "validate/release",
        "precision": job.params.precision,
        "model_sha256": digests["model"],
        "released_sha256": digests["released"],
        **metrics,
        "interval": job.params.interval,
        "noticeable": noticeable(metrics),
        "labels": None if labels is None else {"added": labels.added, "removed": labels.removed},
        "by_class": _by_class(answered, steps),
        "by_sample": rows,
        "worst": [rows[place]["sample"] for place in worst],
        "unreadable": unreadable,
    }
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    _page(job, metrics, report, [_card(answered, rows[place], place) for place in worst])


def _page(
    job: Any,
    metrics: dict[str, Any],
    report: dict[str, Any],
    cards: list[Card],
) -> None:
    lead = f"{job.inputs['model'].name} against the released model, {metrics['samples']} samples."
    figures = [Figure(name, _told(value)) for name, value in metrics.items()]
    sections = [
        Section("How much could have been noticed", report["noticeable"]),
        Section("Worst samples", "" if cards else "None.", cards=cards),
        *_labels_section(report["labels"]),
        *_classes_section(report["by_class"]),
        _all(report["by_sample"]),
    ]
    write_page(job.outputs["page"], "Against the released model", lead, figures, sections)


def noticeable(metrics: dict[str, Any]) -> str:
    """How large a loss these samples would have shown, in words."""
    loss = metrics.get("detectable")
    if loss is None:
        return "Nothing says what is right: a loss cannot be told, only a difference."
    found = metrics.get("drop") or metrics["rise"]
    n = f"{found['n']} samples"
    if "rise" in metrics:
        return f"{n} would have shown a rise of the mean error by {loss:.4g} four times of five."
    if loss >= 1:
        return f"{n} are too few to show any loss of accuracy."
    return (
        f"{n} would have shown a loss of {100 * loss:.1f} points of accuracy four times of five; "
        "a smaller one may have passed unseen."
    )


def _by_sample(answered: Answered, steps: np.ndarray) -> list[dict[str, Any]]:
    apart, has_numbers = answered.compared.by_sample, bool(answered.compared.sides())
    rows = []
    for place, asked in enumerate(answered.asked):
        row: dict[str, Any] = {"sample": asked.sample.name, "change": _CHANGE[int(steps[place])]}
        if has_numbers:
            row |= {key: apart[place][key] for key in ("psnr_db", "max_abs", "mean_abs")}
        if answered.told is not None:
            row["released"], row["today"] = answered.told[place]
        if answered.truth is not None:
            row["truth"] = answered.truth[place]
        if answered.errors is not None:
            row["released_error"], row["error"] = map(float, answered.errors[place])
        rows.append(row)
    return rows


def _worst(answered: Answered, steps: np.ndarray) -> list[int]:
    """Samples that got worse, by how much; without a truth those on which the models part most."""
    if answered.truth is None and answered.errors is None:
        return answered.compared.worst(len(steps))
    if answered.errors is not None:
        growth = answered.errors[:, 1] - answered.errors[:, 0]
    else:
        growth = np.array([row.get("max_abs", 0.0) for row in answered.compared.by_sample])
    places = [int(place) for place in np.flatnonzero(steps > 0)]
    return sorted(places, key=lambda place: (-growth[place], place))


def _by_class(answered: Answered, steps: np.ndarray) -> list[dict[str, Any]]:
    """Of each label that both models know how its samples fared, the most losses first."""
    if answered.truth is None or answered.labels is None:
        return []
    truth, rows = np.array(answered.truth), []
    for label in answered.labels.shared:
        here = truth == label
        if not here.any():
            continue
        losses, gains = int((steps[here] > 0).sum()), int((steps[here] < 0).sum())
        released, today = (int(count) for count in answered.right[here].sum(axis=0))
        rows.append(
            {
                "label": label,
                "n": int(here.sum()),
                "released_right": released,
                "right": today,
                "worse": losses,
                "better": gains,
                "p": mcnemar(losses, gains),
            }
        )
    return sorted(rows, key=lambda row: (row["better"] - row["worse"], row["label"]))


def _card(answered: Answered, row: dict[str, Any], place: int) -> Card:
    lines = []
    if "truth" in row:
        lines.append(f"is {row['truth']}")
    if "today" in row:
        lines += [f"released: {row['released']}", f"today: {row['today']}"]
    if "error" in row:
        lines.append(f"error {row['released_error']:.4g}, now {row['error']:.4g}")
    if "psnr_db" in row:
        lines.append(f"{row['psnr_db']:.1f} dB apart, at most {row['max_abs']:.3g}")
    sample = answered.asked[place].sample
    picture = thumbnail(open_picture(sample.path)) if sample.is_picture else None
    return Card(row["sample"], lines, picture)


def _labels_section(labels: dict[str, list[str]] | None) -> list[Section]:
    if labels is None or not (labels["added"] or labels["removed"]):
        return []
    words = {"added": "New", "removed": "Gone"}
    told = [f"{words[what]}: {', '.join(names)}." for what, names in labels.items() if names]
    return [Section("Labels that came and went", " ".join(told))]


def _classes_section(classes: list[dict[str, Any]]) -> list[Section]:
    if not classes:
        return []
    header = ["label", "n", "right in the release", "right today", "worse", "better", "p"]
    rows = [[*(str(v) for v in list(row.values())[:-1]), f"{row['p']:.3g}"] for row in classes]
    text = (
        "Among many classes some have a small p by chance: of 20 that did not change, one is "
        "expected below 0.05."
    )
    return [Section("Classes, the most losses first", text, header=header, rows=rows)]


def _all(rows: list[dict[str, Any]]) -> Section:
    header = list(rows[0])
    shown = [[_cell(row[name]) for name in header] for row in rows]
    return Section("All samples", header=[h.replace("_", " ") for h in header], rows=shown)


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.4g} ({value['low']:.3g} to {value['high']:.3g}, n {value['n']})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
