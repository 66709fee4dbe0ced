"""Kills that nobody planned: at random moments, of the engine alone or of all that it started."""

from __future__ import annotations

import random

from tests.faults.world import RUN, Tally, World


def campaign(world: World, moments: int, seed: int, everybody: bool, jobs: int = 1) -> Tally:
    """Builds of new sources until as many were killed, each followed by one to the end."""
    chance = random.Random(seed)
    tally = Tally(f"random moments, {'all processes' if everybody else 'the engine'}, -j {jobs}")
    world.write(source=world.new_source())
    seconds = length_of_a_build(world, tally)
    number = 0
    while tally.injected < moments and number < 3 * moments:  # some end before their moment
        number += 1
        old = world.right()
        world.write(source=world.new_source())
        moment = chance.uniform(0, 1.1) * seconds
        done = world.engines.run((*RUN, "-j", str(jobs)), kill_after=(moment, everybody))
        tally.injected += done.code == -9
        tally.missed += done.code != -9
        where = f"moment {number} of seed {seed}"
        tally.wrong += [f"{where}: {path} is half done" for path in world.half_done(old)]
        world.settle(tally, where, done)
    return tally


def length_of_a_build(world: World, tally: Tally) -> float:
    import time

    began = time.monotonic()
    world.settle(tally, "a build", world.engines.run())
    return (time.monotonic() - began) * 0.8
