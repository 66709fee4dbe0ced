"""docs/conformance.md: written by ``benchmarks/conformance.py --page``, never by hand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from benchmarks.conformance.families import FAMILIES
from benchmarks.conformance.results import OUTCOMES, Result, tally

_WHY = Path(__file__).with_name("known.toml")

_FOLDERS = re.compile(r"/[\w./+-]*/(?=[\w.-]+)")  # where things lie on one machine says nothing

_HEAD = """# Conformance

Made by `python benchmarks/conformance.py --page`; do not edit.

coremltools' wheel holds its own test-suite, which passes on Linux without comparing a number. Here
the reference runtime predicts, and the suite compares for real: float32 to 1e-4 absolute and 1e-5
relative, float16 to 5e-3 (coremltools allows 0.5 there). A case that compares no numbers counts for
nothing. Other known answers are the predictions of scikit-learn, XGBoost and LIBSVM, onnx's backend
tests, and a published model's ONNX twin.
"""


def page(results: list[Result]) -> str:
    """The page's text."""
    names = [name for name in FAMILIES if any(r.family == name for r in results)]
    parts = [_HEAD, "## Figures\n", _table(results, names), _meanings()]
    for name in names:
        chosen = [r for r in results if r.family == name]
        bad = [r for r in chosen if r.outcome in ("failed", "refused")]
        if bad:
            parts.append(f"## What fails in `{name}`\n\n{_failures(bad)}")
        parts += _reckoned(name)
    return "\n".join(parts).rstrip() + "\n"


def _table(results: list[Result], names: list[str]) -> str:
    heads = ["family", "what", "seeds", *(o.replace("_", " ") for o in OUTCOMES), "share", "goal"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for name in names:
        chosen = [r for r in results if r.family == name]
        counted, goal = tally(chosen), FAMILIES[name].goal
        seeds = ", ".join(map(str, sorted({r.seed for r in chosen})))
        share = "" if counted.share is None else f"{100 * counted.share:.2f} %"
        cells = [f"`{name}`", FAMILIES[name].help, seeds]
        cells += [str(counted.counts[outcome]) for outcome in OUTCOMES]
        cells += [share, "" if goal is None else f"{100 * goal:g} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _meanings() -> str:
    told = "\n".join(f"- **{o.replace('_', ' ')}**: {text}." for o, text in OUTCOMES.items())
    return f"The share is of passed, failed and refused.\n\n{told}\n"


def _failures(bad: list[Result]) -> str:
    """Failures of one function for one reason are one line."""
    known = tomllib.loads(_WHY.read_text())["known"]
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in bad:
        why = next((k["why"] for k in known if re.search(k["test"], result.test)), result.reason)
        groups.setdefault((result.function, why), []).append(result)
    lines = ["| test | cases | outcome | why |", "| --- | --- | --- | --- |"]
    for (function, why), group in sorted(groups.items()):
        outcome = "/".join(sorted({r.outcome for r in group}))
        text = _FOLDERS.sub("", why).replace("|", "\\|").replace("<", "&lt;")
        lines.append(f"| `{function}` | {len(group)} | {outcome} | {text} |")
    return "\n".join(lines) + "\n"


def _reckoned(family: str) -> list[str]:
    """What the cases of a family allow for in what they expect, if anything."""
    told = tomllib.loads(_WHY.read_text())["reckoned"]
    lines = [f"- {entry['text']}" for entry in told if entry["family"] == family]
    text = "\n".join(lines)
    return [f"## What the cases of `{family}` reckon with\n\n{text}\n"] if lines else []
