"""How mlbuild's cost grows with the number of stages; nothing may be worse than linear.

    python benchmarks/scale.py [10 100 1000 10000] [--plan 100000] [--no-build]

CPU seconds, children included. ``load`` reads the file, ``resolve`` settles it, ``graph`` orders
it, ``plan`` decides every stage (in one process, without its start); ``no-op`` and ``one leaf`` are
whole commands, ``cold`` is the first build. With --plan, that many stages are only planned.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import peers
from workflow import Tool, cost, leaf, project, ran, table

PROBE = """
import json, sys, time
from pathlib import Path
from mlbuild import graph, registry
from mlbuild.build import Pipeline
from mlbuild.pipeline.load import load
from mlbuild.pipeline.resolve import resolve
file, root = Path("pipelines/layers.yaml"), Path.cwd()
kinds = registry.Registry.load(root, trusted=False)
times = [time.process_time()]
document = load(file); times.append(time.process_time())
resolved = resolve(document, kinds, root=root); times.append(time.process_time())
graph.order(resolved.stages); times.append(time.process_time())
pipeline = Pipeline.load(file); begun = time.process_time()
pipeline.plan(); took = time.process_time() - begun
print(json.dumps([*(after - before for before, after in zip(times, times[1:])), took]))
"""
PHASES = ("load", "resolve", "graph", "plan")


def phases(folder: Path) -> list[float]:
    """CPU seconds of the steps up to a plan."""
    probe = [sys.executable, "-c", PROBE]
    said = subprocess.run(probe, cwd=folder, capture_output=True, text=True, check=True).stdout
    values: list[float] = json.loads(said)
    return values


def measure(tool: Tool, count: int, folder: Path) -> list[float]:
    """The phases, the no-op, one changed leaf, and the first build a stage."""
    workflow = project(tool, folder, count)
    cold = cost(tool.command, folder)
    _held(folder, count, "in the first build")
    cost(tool.command, folder)
    noop = cost(tool.command, folder)
    _held(folder, 0, "although nothing had changed")
    (folder / leaf(workflow)).write_text("an edit\n")
    one = cost(tool.command, folder)
    _held(folder, 1, "although one leaf had changed")
    return [*phases(folder), noop.cpu, one.cpu, cold.cpu / count]


def _held(folder: Path, expected: int, when: str) -> None:
    count = ran(folder)
    if count != expected:
        sys.exit(f"{count} stages ran {when}, not {expected}")


def growth(sizes: Sequence[int], rows: Sequence[Sequence[float]]) -> list[str]:
    """How much more the largest costs than the one before it, for each stage: 1 is linear."""
    times = sizes[-1] / sizes[-2]
    *totals, cold = [last / before for before, last in zip(rows[-2], rows[-1], strict=True)]
    return [f"{g:.2f}" for g in [*(total / times for total in totals), cold]]


def planned(tool: Tool, count: int, folder: Path) -> str:
    """Plans without building: CPU seconds and memory."""
    project(tool, folder, count)
    took = cost([*tool.command, "--dry-run"], folder)
    _held(folder, 0, "in a dry run")
    steps = ", ".join(f"{n} {v:.1f}" for n, v in zip(PHASES, phases(folder), strict=True))
    return (
        f"{count} stages planned (run --dry-run): {took.cpu:.1f} CPU s, "
        f"{took.memory / 1e6:.0f} MB; of it {steps}"
    )


def main() -> None:
    """Prints the curve, then the plan of a large pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[10, 100, 1000, 10000])
    parser.add_argument("--plan", type=int, default=100_000, help="0: none")
    parser.add_argument("--no-build", action="store_true", help="only --plan")
    chosen = parser.parse_args()
    (tool,) = peers.found(["mlbuild"])
    if not chosen.no_build:
        rows = []
        for count in chosen.sizes:
            with tempfile.TemporaryDirectory(prefix="mlbuild-scale-") as place:
                rows.append(measure(tool, count, Path(place) / "project"))
            print(f"measured: {count} stages", flush=True)
        head = ["stages", *PHASES, "no-op", "one leaf", "cold, ms a stage"]
        body = [
            [str(count), *(f"{v:.3f}" for v in row[:-1]), f"{row[-1] * 1000:.2f}"]
            for count, row in zip(chosen.sizes, rows, strict=True)
        ]
        if len(rows) > 1:
            body.append(["growth, 1 is linear", *growth(chosen.sizes, rows)])
        print(f"\n{table(head, body)}\n")
    if chosen.plan:
        with tempfile.TemporaryDirectory(prefix="mlbuild-scale-") as place:
            print(planned(tool, chosen.plan, Path(place) / "project"))


if __name__ == "__main__":
    main()
