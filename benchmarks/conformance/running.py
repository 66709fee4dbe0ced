"""Runs one family with one seed in processes of the toolchain, until every drawn case has ended.

A process that crashes, hangs or has grown large is followed by a fresh one, which goes on with the
cases that have not ended; the case that it died in has failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.conformance.families import Family
from benchmarks.conformance.results import events, interrupted
from benchmarks.conformance.tools import Tools

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESTART = 75  # see plugin.py; imported there it would need torch here


@dataclass(frozen=True)
class Wish:
    """What is wanted of a family: see the options of ``conformance.py``."""

    seed: int
    sample: int
    precision: str
    limit: float
    keyword: str = ""
    files: tuple[str, ...] = ()


def run_family(family: Family, wish: Wish, folder: Path, tools: Tools) -> Path:
    """Run what has not been run; the results' file."""
    results = folder / f"{family.name}-{wish.seed}.jsonl"
    results.parent.mkdir(parents=True, exist_ok=True)
    _forget_others(results, wish)
    log = results.with_suffix(".log")
    while True:
        status = _process(family, wish, results, log, tools)
        lost = interrupted(results)
        if lost is None and status != RESTART:
            break
        if lost is not None:
            _end(results, lost, f"the process ended with status {status}")
    if status not in (0, 1, 5):
        print(log.read_text()[-3000:], file=sys.stderr)
        raise SystemExit(f"{family.name}: pytest could not run (status {status}), see {log}")
    return results


def _process(family: Family, wish: Wish, results: Path, log: Path, tools: Tools) -> int:
    orders = {
        "results": str(results.resolve()),
        "seed": wish.seed,
        "sample": wish.sample,
        "precision": wish.precision,
        "strict": family.strict,
        "limit": wish.limit,
    }
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYMIL_"))},
        **family.env,
        "MLBUILD_CONFORMANCE": json.dumps(orders),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, tools.folders)]),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
    }
    command = [str(tools.python), *_pytest(family, wish, tools)]
    with log.open("w") as stream:
        done = subprocess.run(
            command, env=environment, cwd=results.parent, stdout=stream, stderr=subprocess.STDOUT
        )
    return done.returncode


def _pytest(family: Family, wish: Wish, tools: Tools) -> Sequence[str]:
    base = HERE if family.own else tools.coremltools
    paths = [str(base / path) for path in family.paths]
    if wish.files:
        paths = [
            str(f)
            for p in paths
            for f in ([Path(p)] if p.endswith(".py") else sorted(Path(p).rglob("test_*.py")))
            if any(name in str(f) for name in wish.files)
        ]
    options = ["-p", "benchmarks.conformance.plugin", "-p", "no:cacheprovider", "-p", "no:randomly"]
    options += ["-p", "no:hypothesispytest", "-c", os.devnull, "--rootdir", str(base), "-q"]
    options += ["--tb=no", "--continue-on-collection-errors", "-W", "ignore"]
    options += [f"--ignore-glob=*{name}" for name in family.leave_out]
    if wish.keyword:
        options += ["-k", wish.keyword]
    return ["-m", "pytest", *options, *paths]


def forget_failures(results: Path) -> None:
    """Let the cases that failed or were refused run again."""
    kept = [e for e in events(results) if e.get("outcome") not in ("failed", "refused")]
    results.write_text("".join(json.dumps(event) + "\n" for event in kept))


def _forget_others(results: Path, wish: Wish) -> None:
    """Results of another wish are no part of this run."""
    told = asdict(wish) | {"event": "wish", "files": list(wish.files)}
    former = events(results)[:1]
    if former != [told]:
        results.write_text(json.dumps(told) + "\n")


def _end(results: Path, test: str, reason: str) -> None:
    event = {
        "event": "end",
        "test": test,
        "outcome": "failed",
        "reason": reason,
        "compared": 0,
        "predictions": 0,
        "type": "",
        "seconds": 0.0,
    }
    with results.open("a") as stream:
        stream.write(json.dumps(event) + "\n")
