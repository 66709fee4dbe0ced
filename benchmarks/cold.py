"""What a full build of trivial commands costs, over a bare shell loop of the same commands.

    python benchmarks/cold.py [100 1000] [--rounds N] [--tools make,doit] [--install]

Two loops: one that starts the same shell for each stage as mlbuild must (``bash -euo pipefail
-c``), which is the fair one, and one shell that runs all commands. CPU seconds, children included;
medians of interleaved rounds, each in a fresh folder; how many stages ran is counted from outside.
"""

from __future__ import annotations

import argparse
import re
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import peers
from workflow import Cost, Node, Tool, cost, nodes, project, ran, table, write_sources

EACH, ONE = "loop: bash for each stage", "loop: one bash"
GOAL = 2.0  # times the loop that starts a shell for each stage
Run = Callable[[Path, int], Cost]


def loop(write: Callable[[Node], str]) -> Run:
    """A script that runs all commands, one after the other."""

    def run(folder: Path, count: int) -> Cost:
        workflow = nodes(count)
        write_sources(folder, workflow)
        lines = ["set -euo pipefail", *map(write, workflow)]
        (folder / "loop.sh").write_text("\n".join(lines) + "\n")
        return cost(["bash", "loop.sh"], folder)

    return run


def built(tool: Tool) -> Run:
    """A tool's first build."""

    def run(folder: Path, count: int) -> Cost:
        project(tool, folder, count)
        return cost(tool.command, folder)

    return run


def measure(runs: dict[str, Run], count: int, rounds: int) -> dict[str, list[Cost]]:
    """All costs, by name."""
    found: dict[str, list[Cost]] = {name: [] for name in runs}
    # Removed at the end only: for minutes ext4 looks through what was freed for each new file, so
    # that one round's removal would be a good part of what the next one's files cost.
    with tempfile.TemporaryDirectory(prefix="mlbuild-cold-") as place:
        for number in range(rounds):
            for name, run in runs.items():
                folder = Path(place) / str(number) / re.sub(r"\W+", "-", name)
                found[name].append(run(folder, count))
                if (seen := ran(folder)) != count:
                    sys.exit(f"{name}: {seen} stages ran, not {count}")
    return found


def rows(found: dict[str, list[Cost]], count: int) -> list[list[str]]:
    """Name, CPU and wall seconds, milliseconds a stage over the loop, ratios to both loops."""
    cpu = {name: statistics.median(c.cpu for c in costs) for name, costs in found.items()}
    lines = []
    for name, costs in found.items():
        wall = statistics.median(c.wall for c in costs)
        over = f"{(cpu[name] - cpu[EACH]) / count * 1000:.2f}"
        ratios = [f"{cpu[name] / cpu[loop]:.2f}" for loop in (EACH, ONE)]
        lines.append([name, f"{cpu[name]:.2f}", f"{wall:.2f}", over, *ratios])
    return lines


def main() -> None:
    """Prints a table for each size, and the goal."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tools", default="make,ninja,doit", help="comma-separated")
    parser.add_argument("--install", action="store_true", help=f"install {', '.join(peers.PINS)}")
    chosen = parser.parse_args()
    if chosen.install:
        peers.install()
    runs: dict[str, Run] = {
        EACH: loop(lambda n: f"bash -euo pipefail -c {shlex.quote(n.command)}"),
        ONE: loop(lambda n: n.command),
    }
    available: Sequence[Tool] = peers.found(chosen.tools.split(","))
    runs |= {tool.name: built(tool) for tool in available}
    for count in chosen.sizes:
        found = measure(runs, count, chosen.rounds)
        head = [f"cold, {count} stages", "CPU s", "wall s", "ms over", "/ bash each", "/ one bash"]
        print(f"\n{table(head, rows(found, count))}", flush=True)
        medians = [statistics.median(c.cpu for c in found[name]) for name in ("mlbuild", EACH)]
        ratio = medians[0] / medians[1]
        met = "met" if ratio <= GOAL else "NOT MET"
        print(f"goal: at most {GOAL} times a bash for each stage: {ratio:.2f}, {met}", flush=True)


if __name__ == "__main__":
    main()
