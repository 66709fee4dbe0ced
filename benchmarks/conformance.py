"""Runs coremltools' own tests, and other known answers, against the reference runtime.

    python benchmarks/conformance.py ops -k softmax        a few cases of some functions
    python benchmarks/conformance.py ops torch nn --seed 1 --seed 2 --sample 20
    python benchmarks/conformance.py --page                writes docs/conformance.md of all results

coremltools' wheel holds its test-suite, which passes on Linux without comparing a number, because
nothing can predict there. Here the runtime predicts, tolerances are tightened (fp32 1e-4 absolute
and 1e-5 relative, fp16 5e-3), and a case that compares no numbers counts for nothing. Results are
kept, so that a run that was broken off goes on where it was; --fresh begins anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT / "benchmarks"]

from benchmarks.conformance import report
from benchmarks.conformance.families import FAMILIES
from benchmarks.conformance.page import page
from benchmarks.conformance.results import read
from benchmarks.conformance.running import Wish, forget_failures, run_family
from benchmarks.conformance.tools import make_tools

RESULTS = ROOT / "build" / "conformance"
PAGE = ROOT / "docs" / "conformance.md"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    told = "\n".join(f"  {family.name:12} {family.help}" for family in FAMILIES.values())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"families:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES], metavar="FAMILY")
    parser.add_argument("-k", dest="keyword", default="", help="only tests that match, as pytest's")
    parser.add_argument("--file", action="append", default=[], help="only files whose path has it")
    parser.add_argument("--seed", action="append", type=int, help="which cases, which numbers (1)")
    parser.add_argument("--sample", type=int, default=20, help="cases a test function; 0 for all")
    parser.add_argument("--precision", choices=("declared", "float32"), default="declared")
    parser.add_argument("--limit", type=float, default=120.0, help="CPU seconds a case")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder that keeps them")
    parser.add_argument("--fresh", action="store_true", help="forget kept results of what is run")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    parser.add_argument("--python", type=Path, help="an interpreter with torch and coremltools")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    return parser.parse_args(arguments)


def main() -> int:
    """Runs, prints, and fails where a family misses its goal."""
    options = parse()
    if options.page and not options.families:
        PAGE.write_text(page(read(options.results)))
        return 0
    ran = []
    for name in options.families or ["ops"]:
        family = FAMILIES[name]
        tools = make_tools(options.python, family.packages)
        for seed in options.seed or [1]:
            wish = Wish(
                seed,
                options.sample,
                options.precision,
                options.limit,
                options.keyword,
                tuple(options.file),
            )
            former = options.results / f"{name}-{seed}.jsonl"
            if options.fresh:
                former.unlink(missing_ok=True)
            elif options.retry and former.exists():
                forget_failures(former)
            file = run_family(family, wish, options.results, tools)
            ran += [r for r in read(file.parent) if (r.family, r.seed) == (name, seed)]
    print(report.text(ran))
    figures = report.as_json(ran)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    missed = [
        name
        for name, of in figures["families"].items()
        if of["share"] is not None and of["share"] < (of["goal"] or 0)
    ]
    if missed:
        print(f"\nbelow its goal: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
