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

Task = Callable[[World, bool], list[Tally]]
MOMENTS = 100  # for the engine alone, and as many for all processes


def _scene(name: str, hows: tuple[str, ...]) -> Task:
    scene = remote.PULL if name == remote.PULL.name else points.SCENES[name]

    def task(world: World, whole: bool) -> list[Tally]:
        if scene is remote.PULL:
            remote.share(world)
        return list(points.campaign(world, [scene], hows, None if whole else 4).values())

    return task


def tasks() -> dict[str, Task]:
    """Everything that can go wrong, in pieces of a few minutes."""
    found: dict[str, Task] = {}
    for name in (*points.SCENES, remote.PULL.name):
        for hows in (("kill",), ("kill all", "torn"), points.ERRORS):
            found[f"{name}: {', '.join(hows)}"] = _scene(name, hows)
    for seed, everybody, jobs in ((1, False, 1), (2, True, 2)):
        found[f"moments {seed}"] = lambda world, whole, s=seed, e=everybody, j=jobs: [
            moments.campaign(world, MOMENTS if whole else 4, s, e, j)
        ]
    for kind in damage.FILES:
        found[kind] = lambda world, whole, kind=kind: [
            damage.campaign(world, kind, None if whole else 6)
        ]
    found["knowledge"] = lambda world, whole: [damage.all_at_once(world), damage.journals(world)]
    found["remote"] = lambda world, whole: [
        remote.gone(world),
        remote.damaged(world, None if whole else 5),
        remote.breaking_off(world, 20 if whole else 2),
        remote.pushes(world, None if whole else 5),
    ]
    found["conditions"] = lambda world, whole: conditions.campaign(world, whole)
    return found


def work(name: str, whole: bool) -> list[Tally]:
    """One piece, in a project of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        world = make_world(Path(folder), os.environ)
        with world.engines:
            points.ready(world)
            return tasks()[name](world, whole)


def main() -> int:
    """Prints the table; 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every fault, not a sample")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="projects at one time")
    parser.add_argument("--only", default="", help="only pieces whose names hold this")
    chosen = parser.parse_args()
    began, sums = time.monotonic(), {}
    with ProcessPoolExecutor(chosen.jobs) as pool:
        running = {
            pool.submit(work, name, chosen.all): name for name in tasks() if chosen.only in name
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
