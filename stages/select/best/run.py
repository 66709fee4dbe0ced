"""Choose one model of several."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

from ..._shared.files.copying import copy_tree
from ..._shared.problem.problem import Problem, told
from .candidates import Candidate, gather

_SMALLER = re.compile(r"size|error|loss|diverg|(^|[._])kl([._]|$)|seconds|_ms$|latency|bytes|_abs")


@told
def run(job: Any) -> None:
    """Gather, drop what is outside the limits, take the best, copy it."""
    params = job.params
    candidates = gather(job)
    for metric in (params.by, *params.where):
        _known(metric, candidates)
    for candidate in candidates:
        _limit(candidate, params)
    able = [c for c in candidates if not c.out]
    if not able:
        reasons = "; ".join(f"{c.name}: {', '.join(c.out)}" for c in candidates)
        raise Problem(f"no candidate is left: {reasons}", hint="loosen `where`, or add variants")
    sign = -1.0 if _mode(params) == "max" else 1.0
    best = min(able, key=lambda c: (sign * c.figures[params.by], c.figures["size_mb"], c.place))
    copy_tree(best.path, job.outputs["model"])
    job.metric("size_mb", best.figures["size_mb"])
    job.metric("by", best.figures[params.by])
    job.metric("candidates", len(able))
    job.metric("chosen", best.place)
    _report(job, candidates, best)
    job.log(f"chosen: {best.name}, {params.by} {best.figures[params.by]:.6g}")


def _mode(params: Any) -> str:
    if params.mode != "auto":
        return params.mode
    return "min" if _SMALLER.search(params.by) else "max"


def _known(metric: str, candidates: list[Candidate]) -> None:
    names = sorted({name for c in candidates for name in c.figures})
    if metric in names:
        return
    close = difflib.get_close_matches(metric, names, n=1)
    shown = ", ".join(n for n in names if "." not in n)
    hint = f"did you mean '{close[0]}'?" if close else f"there is {shown}"
    raise Problem(f"no candidate has a metric '{metric}'", hint=hint)


def _limit(candidate: Candidate, params: Any) -> None:
    if candidate.out:
        return
    for metric in dict.fromkeys([params.by, *params.where]):
        if metric not in candidate.figures:
            candidate.out.append(f"has no {metric}")
    for metric, limit in params.where.items():
        value = candidate.figures.get(metric)
        if value is None:
            continue
        if limit.get("min") is not None and value < limit["min"]:
            candidate.out.append(f"{metric} {value:.6g} is below min {limit['min']:g}")
        if limit.get("max") is not None and value > limit["max"]:
            candidate.out.append(f"{metric} {value:.6g} is above max {limit['max']:g}")


def _report(job: Any, candidates: list[Candidate], best: Candidate) -> None:
    params = job.params
    rows = [
        {
            "axes": c.axes,
            "chosen": c is best,
            "out": c.out,
            "figures": dict(sorted(c.figures.items())),
        }
        for c in candidates
    ]
    report = {"by": params.by, "mode": _mode(params), "where": params.where, "candidates": rows}
    text = json.dumps(report, indent=2, sort_keys=True, ensure_ascii=False)
    job.outputs["report"].write_text(text + "\n", encoding="utf-8")
    shown = dict.fromkeys(["size_mb", params.by, *params.where])
    plot = [
        {
            "candidate": c.name,
            "chosen": "yes" if c is best else "no",
            **{m: c.figures.get(m) for m in shown},
        }
        for c in candidates
    ]
    job.plot("candidates", plot, title="Candidates")
