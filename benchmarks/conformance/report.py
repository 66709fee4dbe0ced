"""Results as text, as JSON and as the page of the documentation."""

from __future__ import annotations

from typing import Any

from benchmarks.conformance.families import FAMILIES
from benchmarks.conformance.results import OUTCOMES, Result, by_function, tally

_HEADS = ("passed", "failed", "refused", "no numbers", "unreached", "skipped")


def _families(results: list[Result]) -> list[str]:
    return [name for name in FAMILIES if any(r.family == name for r in results)]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def text(results: list[Result], functions: bool = True, failures: int = 200) -> str:
    """Figures by family and by test function, then each failure with its reason."""
    lines = []
    width = max((len(r.function) for r in results), default=0) if functions else 12
    for name in _families(results):
        chosen = [r for r in results if r.family == name]
        lines += ["", f"{name:{width}} {' '.join(f'{h:>10}' for h in _HEADS)}     share"]
        groups = by_function(chosen) if functions else {}
        for function, counted in groups.items():
            if counted.counts["failed"] or counted.counts["refused"] or not counted.counted:
                lines.append(_row(function, counted, width))
        lines.append(_row(f"all {len(groups)} functions" if groups else name, tally(chosen), width))
        bad = [r for r in chosen if r.outcome in ("failed", "refused")]
        for result in bad[:failures]:
            lines.append(f"  {result.outcome}: {result.test} (seed {result.seed})")
            lines.append(f"      {result.reason}")
    return "\n".join(lines).lstrip("\n")


def _row(name: str, counted: Any, width: int) -> str:
    cells = " ".join(f"{counted.counts[outcome]:>10}" for outcome in OUTCOMES)
    return f"{name:{width}} {cells}  {_percent(counted.share):>8}"


def as_json(results: list[Result]) -> dict[str, Any]:
    """The same for machines."""
    families: dict[str, Any] = {}
    for name in _families(results):
        chosen = [r for r in results if r.family == name]
        counted = tally(chosen)
        families[name] = {
            "seeds": sorted({r.seed for r in chosen}),
            "outcomes": {outcome: counted.counts[outcome] for outcome in OUTCOMES},
            "share": counted.share,
            "goal": FAMILIES[name].goal,
            "functions": {
                function: {o: c.counts[o] for o in OUTCOMES}
                for function, c in by_function(chosen).items()
            },
            "failures": [
                {"seed": r.seed, "test": r.test, "outcome": r.outcome, "reason": r.reason}
                for r in chosen
                if r.outcome in ("failed", "refused")
            ],
        }
    return {"version": 1, "families": families}
