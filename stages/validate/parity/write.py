"""The report as JSON and as a page."""

from __future__ import annotations

import json
from typing import Any

from ..._shared.images.decoding import open_picture
from ..._shared.page.page import Card, Figure, Section, thumbnail
from ..._shared.page.page import write as write_page
from ..._shared.parity.comparing import Classes, Outputs
from ..._shared.predictions.form import About

VERSION = 1
_HELP = {
    "psnr_db": "20 log10(range of the reference / root mean square error)",
    "margin_db": "how much closer than the least that a faultless conversion reaches",
    "max_abs": "largest absolute error",
    "mean_abs": "mean absolute error",
    "cosine": "mean cosine of the angle between outputs",
    "agreement_top1": "same best class",
    "agreement_topk": "the reference's best class is among the candidate's best",
    "kl": "mean Kullback-Leibler divergence of class scores, nats",
    "samples": "number of samples",
    "size_mb": "size of the candidate, MB",
}


def write(
    job: Any,
    result: Classes | Outputs,
    metrics: dict[str, Any],
    unreadable: list[str],
    least: dict[str, dict[str, Any]],
    asked: About,
) -> None:
    """Write both outputs; ``asked`` is the candidate that they are about."""
    worst = result.worst(job.params.worst)
    report = {
        "version": VERSION,
        "kind": "validate/parity",
        "compared": result.about,
        "precision": job.params.precision,
        "model_sha256": asked.sha256,
        **metrics,
        "expected": least,
        "by_sample": result.by_sample,
        "worst": [result.by_sample[i]["sample"] for i in worst],
        "unreadable": unreadable,
    }
    if isinstance(result, Outputs):
        report["by_output"] = result.by_output
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    figures = [Figure(name, _told(value), _help(name)) for name, value in metrics.items()]
    lead = f"{asked.model} against its reference: {result.about}."
    sections = [Section("Worst samples", cards=[_card(result, i) for i in worst])]
    if isinstance(result, Outputs):
        rows = [[n, *(f"{v:.6g}" for v in f.values())] for n, f in result.by_output.items()]
        names = next(iter(result.by_output.values()), {})  # labels alone have no figures
        sections.insert(0, Section("Outputs", header=["output", *names], rows=rows))
    sections.append(_all(result))
    write_page(job.outputs["page"], "Parity", lead, figures, sections)


def _help(name: str) -> str:
    family, _, output = name.partition(".")
    return f"share of equal values of {output}" if output else _HELP[family]


def _card(result: Classes | Outputs, place: int) -> Card:
    facts, sample = result.by_sample[place], result.rows[place].sample
    lines = [f"{facts['psnr_db']:.1f} dB, largest error {facts['max_abs']:.3g}"]
    if isinstance(result, Classes):
        ours, theirs = facts["reference"], facts["candidate"]
        lines = [
            f"reference: {ours['label']} {ours['score']:.3f}",
            f"candidate: {theirs['label']} {theirs['score']:.3f}",
            *lines,
        ]
    return Card(
        sample.name, lines, thumbnail(open_picture(sample.path)) if sample.is_picture else None
    )


def _all(result: Classes | Outputs) -> Section:
    header = ["sample", "PSNR, dB", "largest error", "cosine"]
    rows = [
        [r["sample"], f"{r['psnr_db']:.1f}", f"{r['max_abs']:.4g}", f"{r['cosine']:.6f}"]
        for r in result.by_sample
    ]
    if isinstance(result, Classes):
        header += ["reference", "candidate"]
        for row, facts in zip(rows, result.by_sample, strict=True):
            row += [facts["reference"]["label"], facts["candidate"]["label"]]
    return Section("All samples", header=header, rows=rows)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f}, n {value['n']})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
