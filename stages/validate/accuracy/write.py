"""The report as JSON and as a page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..._shared.digests.tree import model_sha256
from ..._shared.images.decoding import open_picture
from ..._shared.metrics_classification.scores import Scores
from ..._shared.page.page import Card, Figure, Section, thumbnail
from ..._shared.page.page import write as write_page
from ..._shared.parity import figures

VERSION = 1
_MOST_CELLS = 60  # classes; a larger matrix is no picture any more


def write(
    job: Any, answers: Any, scores: Scores, metrics: dict[str, Any], unreadable: list[str]
) -> None:
    """Write both outputs."""
    chances = np.exp(figures.log_softmax(answers.logits))
    ranked = figures.ranking(answers.logits)
    rows = [
        {
            "sample": item.name,
            "label": item.label,
            "answer": scores.labels[ranked[i, 0]],
            "score": float(chances[i, ranked[i, 0]]),
            "label_score": float(chances[i, answers.truth[i]]),
        }
        for i, item in enumerate(answers.items)
    ]
    report = {
        "version": VERSION,
        "kind": "validate/accuracy",
        "precision": job.params.precision,
        "model_sha256": model_sha256(job.inputs["model"]),
        **metrics,
        "by_class": scores.per_class(),
        "by_sample": rows,
        "unreadable": unreadable,
    }
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    _page(job, answers, scores, metrics, rows)


def _page(job: Any, answers: Any, scores: Scores, metrics: dict[str, Any], rows: Any) -> None:
    wrong = [i for i, row in enumerate(rows) if row["label"] != row["answer"]]
    wrong.sort(key=lambda i: (-rows[i]["score"], i))  # the surest first
    cards = [
        Card(
            rows[i]["sample"],
            [
                f"is {rows[i]['label']} ({rows[i]['label_score']:.3f})",
                f"answer {rows[i]['answer']} ({rows[i]['score']:.3f})",
            ],
            thumbnail(open_picture(answers.items[i].path)),
        )
        for i in wrong[: job.params.wrong]
    ]
    sections = [
        Section("Wrong answers, the surest first", "" if cards else "None.", cards=cards),
        *_confusion(scores),
        _classes(scores),
    ]
    told = [Figure(name, _told(value)) for name, value in metrics.items()]
    lead = f"{job.inputs['model'].name} on {scores.n} labelled pictures."
    write_page(job.outputs["page"], "Accuracy", lead, told, sections)


def _confusion(scores: Scores) -> list[Section]:
    seen = np.flatnonzero(scores.confusion.sum(axis=0) + scores.confusion.sum(axis=1))
    if len(seen) > _MOST_CELLS:
        return []
    names = [scores.labels[i] for i in seen]
    rows = []
    for i in seen:
        total = max(int(scores.confusion[i].sum()), 1)
        cells = [
            {"count": int(n), "share": round(int(n) / total, 3)} for n in scores.confusion[i, seen]
        ]
        rows.append({"name": scores.labels[i], "cells": cells})
    text = "Rows are the truth, columns the answers."
    return [Section("Confusions", text, heat={"columns": names, "rows": rows})]


def _classes(scores: Scores) -> Section:
    rows = [
        [row["label"], str(row["n"]), _share(row["recall"]), _share(row["precision"])]
        for row in scores.per_class()
        if row["n"] or row["predicted"]
    ]
    return Section("Classes", header=["label", "n", "recall", "precision"], rows=rows)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f}, n {value['n']})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
