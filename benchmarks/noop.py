"""What it costs to find that nothing, or one leaf, changed: mlbuild and its peers.

    python benchmarks/noop.py [5 100 1000 10000] [--rounds N] [--tools make,doit] [--install]

The same workflow for each tool (`workflow.py`), on one filesystem. CPU seconds, user and system,
children included; medians of interleaved rounds. Each tool is brought to rest first (its second
no-op), and how many stages ran is counted from outside after each round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import peers
from workflow import Cost, Node, Tool, cost, leaf, project, ran, table

NOOP, LEAF = "no-op", "one leaf changed"
BARE = "python -c pass"

# situation, stages, peer, how many times the peer's cost mlbuild may take at most
GOALS = (
    (NOOP, 1_000, "doit", 1 / 5),
    (NOOP, 1_000, "Snakemake", 1 / 60),
    (NOOP, 1_000, "DVC", 1 / 600),
    (NOOP, 10_000, "make", 2.0),
    (LEAF, 1_000, "doit", 1 / 2),
    (LEAF, 10_000, "doit", 1 / 2),
)
BARE_GOAL = (5, 0.015)  # stages; seconds above the bare interpreter


class Site:
    """One tool's project of one size."""

    def __init__(self, tool: Tool, folder: Path, count: int) -> None:
        self.tool, self.folder = tool, folder
        self.workflow: list[Node] = project(tool, folder, count)
        self._edits = 0
        for command in tool.settle or (tool.command,):
            cost(command, folder)
        self._held(count, "when it was built")
        for _ in range(2):
            self.noop()

    def noop(self) -> Cost:
        """Nothing changed."""
        took = cost(self.tool.command, self.folder)
        self._held(0, "although nothing had changed")
        return took

    def leaf(self) -> Cost:
        """One file changed that one stage reads; then at rest again."""
        self._edits += 1
        (self.folder / leaf(self.workflow)).write_text(f"edit {self._edits}\n")
        took = cost(self.tool.command, self.folder)
        self._held(1, "although one leaf had changed")
        self.noop()
        return took

    def _held(self, expected: int, when: str) -> None:
        count = ran(self.folder)
        if count != expected:
            sys.exit(f"{self.tool.name}: {count} stages ran {when}, not {expected}")


def measure(
    chosen: Sequence[Tool], count: int, rounds: int, folder: Path
) -> dict[str, dict[str, float]]:
    """Medians by situation and tool."""
    sites = []
    for tool in chosen:
        if count > tool.most:
            print(f"  {tool.name}: left out at {count} stages")
            continue
        sites.append(Site(tool, folder / tool.name, count))
    found: dict[str, dict[str, list[float]]] = {NOOP: {BARE: []}, LEAF: {}}
    for _ in range(rounds):
        found[NOOP][BARE].append(cost([sys.executable, "-c", "pass"], folder).cpu)
        for site in sites:
            found[NOOP].setdefault(site.tool.name, []).append(site.noop().cpu)
        for site in sites:
            found[LEAF].setdefault(site.tool.name, []).append(site.leaf().cpu)
    return {
        situation: {name: statistics.median(values) for name, values in by_tool.items()}
        for situation, by_tool in found.items()
    }


def rows(medians: Mapping[str, float]) -> list[list[str]]:
    """Tool, CPU seconds, how many times mlbuild's."""
    ours = medians["mlbuild"]
    return [[name, f"{s:.4f}", f"{s / ours:.2f}"] for name, s in medians.items()]


def verdicts(found: Mapping[int, Mapping[str, Mapping[str, float]]]) -> list[list[str]]:
    """Each goal that could be judged, beside what was measured."""
    lines = []
    for situation, count, peer, most in GOALS:
        medians = found.get(count, {}).get(situation, {})
        if peer in medians:
            ratio = medians["mlbuild"] / medians[peer]
            met = "met" if ratio <= most else "NOT MET"
            goal = f"{situation}, {count} stages: mlbuild / {peer}"
            lines.append([goal, f"{ratio:.4f}", f"{most:.4f}", met])
    count, most = BARE_GOAL
    if count in found:
        above = found[count][NOOP]["mlbuild"] - found[count][NOOP][BARE]
        goal = f"{NOOP}, {count} stages: seconds above the bare interpreter"
        lines.append([goal, f"{above:.4f}", f"{most:.4f}", "met" if above <= most else "NOT MET"])
    return lines


def main() -> None:
    """Prints a table for each size and situation, then the goals."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[5, 100, 1000])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tools", default=",".join(peers.MAKERS), help="comma-separated")
    parser.add_argument("--install", action="store_true", help=f"install {', '.join(peers.PINS)}")
    chosen = parser.parse_args()
    if chosen.install:
        peers.install()
    available = peers.found(chosen.tools.split(","))
    found = {}
    for count in chosen.sizes:
        with tempfile.TemporaryDirectory(prefix="mlbuild-noop-") as place:
            found[count] = measure(available, count, chosen.rounds, Path(place))
        for situation, medians in found[count].items():
            head = [f"{situation}, {count} stages", "CPU s", "/ mlbuild"]
            print(f"\n{table(head, rows(medians))}", flush=True)
    judged = verdicts(found)
    if judged:
        print(f"\n{table(['goal', 'measured', 'at most', ''], judged)}")


if __name__ == "__main__":
    main()
