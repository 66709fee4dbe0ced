"""Injects every fault of the suite into real builds and counts what was lost, or wrong, afterwards.

    python benchmarks/faults.py                 a sample, about a minute
    python benchmarks/faults.py --all -j 2      everything

A *loss* is a stage that was reported as finished, or was known to the cache, and ran again. A
*wrong result* is a wrong byte in an output, an object or entry in the cache that is not what its
name says, something half-written that stays behind, or an error without a word.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))

from tests.faults import conditions, damage, moments, points, remote
from tests.faults.world import Tally, World, make_world

Task = Callable[[World, int | None], list[Tally]]
MOMENTS = 100  # for the engine alone, and as many for all processes
SAMPLE = 4  # faults of a piece, where not all are wanted


def _scene(name: str, hows: tuple[str, ...]) -> Task:
    scene = remote.PULL if name == remote.PULL.name else points.SCENES[name]

    def task(world: World, most: int | None) -> list[Tally]:
        if scene is remote.PULL:
            remote.share(world)
        return list(points.campaign(world, [scene], hows, most).values())

    return task


def tasks() -> dict[str, Task]:
    """Everything that can go wrong, in pieces of a few minutes."""
    found: dict[str, Task] = {}
    for name in (*points.SCENES, remote.PULL.name):
        for hows in (("kill",), ("kill all", "torn"), points.ERRORS):
            found[f"{name}: {', '.join(hows)}"] = _scene(name, hows)
    for seed, everybody, jobs in ((1, False, 1), (2, True, 2)):
        found[f"moments {seed}"] = lambda world, most, s=seed, e=everybody, j=jobs: [
            moments.campaign(world, most or MOMENTS, s, e, j)
        ]
    for kind in damage.FILES:
        found[kind] = lambda world, most, kind=kind: [damage.campaign(world, kind, most)]
    found["knowledge"] = lambda world, most: [damage.all_at_once(world), damage.journals(world)]
    found["remote"] = lambda world, most: [
        remote.gone(world),
        remote.damaged(world, most),
        remote.breaking_off(world, min(most or 20, 20)),
        remote.pushes(world, most),
    ]
    found["conditions"] = lambda world, most: conditions.campaign(world, most is None)
    return found


def work(name: str, most: int | None) -> list[Tally]:
    """One piece, in a project of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        world = make_world(Path(folder), os.environ)
        with world.engines:
            points.ready(world)
            return tasks()[name](world, most)


def main() -> int:
    """Prints the table; 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every fault, not a sample")
    parser.add_argument("--most", type=int, default=SAMPLE, help="faults of one piece at most")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="projects at one time")
    parser.add_argument("--only", default="", help="only pieces whose names hold one of these")
    chosen = parser.parse_args()
    began, sums = time.monotonic(), {}
    with ProcessPoolExecutor(chosen.jobs) as pool:
        running = {
            pool.submit(work, name, None if chosen.all else chosen.most): name
            for name in tasks()
            if any(part in name for part in chosen.only.split(","))
        }
        for done in as_completed(running):
            spent = time.monotonic() - began
            count = sum(tally.injected for tally in done.result())
            print(f"{spent:6.0f} s  {running[done]}: {count}", file=sys.stderr, flush=True)
            for tally in done.result():
                whole = sums.setdefault(tally.name, Tally(tally.name))
                whole.add(tally)
                for text in (*tally.losses, *tally.wrong):
                    print(f"          {text}", file=sys.stderr, flush=True)
    print_table(list(sums.values()))
    return int(any(tally.losses or tally.wrong for tally in sums.values()))


def print_table(tallies: list[Tally]) -> None:
    """A table for people and for the README."""
    print("| fault | injected | finished stages lost | wrong results |")
    print("| --- | ---: | ---: | ---: |")
    total = Tally("all")
    for tally in sorted(tallies, key=lambda t: t.name):
        total.add(tally)
        print(f"| {tally.title} | {tally.injected} | {len(tally.losses)} | {len(tally.wrong)} |")
    print(f"| **all** | {total.injected} | {len(total.losses)} | {len(total.wrong)} |")


if __name__ == "__main__":
    sys.exit(main())
