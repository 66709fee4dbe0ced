"""Faults at each point where the engine writes: killed there, or told that it may not.

The points are not listed anywhere: a run that is traced tells them, by what the interpreter audits
(every file opened for writing, renamed, removed, every folder made), by `os.write` and by the
engine's own checkpoints. What writes tomorrow is covered tomorrow.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.world import BUILD, RUN, Tally, World

ERRORS = ("ENOSPC", "EIO", "EROFS")
KILLS = ("kill", "kill all", "torn")
HOWS = (*KILLS, *ERRORS)
WORDS = ("rror", "failed", "o space", "ead-only")  # one of these is told when a write fails

LESS = BUILD[: BUILD.index("  declared:")] + BUILD[BUILD.index("  join:") :].replace(
    " ${{ inputs.d }}", ""
).replace(", d: declared.o", "")
FAILING = BUILD.replace("${{ inputs.src }} > out/declared", "nowhere > out/declared")


@dataclass(frozen=True)
class Scene:
    """A run that a fault is set into: what is changed before it, and what a run may then do."""

    name: str
    prepare: Callable[[World], object]
    argv: Sequence[str] = RUN
    may_run: bool = True  # False: all was built before, so nothing may ever run
    codes: tuple[int, ...] = (0,)
    afterwards: Callable[[World], object] = lambda world: None  # before the plain run


def changed(world: World) -> None:
    world.write(source=world.new_source())


def back(world: World) -> None:
    world.write(source="first\n" if world.source != "first\n" else "second, longer\n")


def by_hand(world: World) -> None:
    (world.root / "out/declared.txt").write_text(f"mine {world.new_source()}")
    (world.root / "out/folder/inner/3").write_text("mine too\n")


def fewer(world: World) -> None:
    world.write(pipeline=LESS if world.pipeline == BUILD else BUILD)


def fresh(world: World) -> None:
    for name in (".dvc", ".mlbuild", "out", "build"):
        shutil.rmtree(world.root / name, ignore_errors=True)
    for name in ("dvc.yaml", "dvc.lock", "pipelines/p-lock.json", ".dvcignore"):
        (world.root / name).unlink(missing_ok=True)
    for pins in (world.root / "pipelines").glob("p?lock.*"):
        pins.unlink()


def forgotten(world: World) -> None:
    shutil.rmtree(world.root / ".mlbuild", ignore_errors=True)


def failing(world: World) -> None:
    world.write(pipeline=FAILING)


def mended(world: World) -> None:
    world.write(pipeline=BUILD)


def without_noop(world: World) -> None:
    shutil.rmtree(world.root / ".mlbuild/noop", ignore_errors=True)


SCENES = {
    scene.name: scene
    for scene in (
        Scene("changed", changed),
        Scene("back", back, may_run=False),
        Scene("by hand", by_hand, may_run=False),
        Scene("fewer stages", fewer, may_run=False),
        Scene("first build", fresh),
        Scene("state forgotten", forgotten, may_run=False),
        Scene("failing stage", failing, may_run=False, codes=(1,), afterwards=mended),
        Scene("up to date", without_noop, may_run=False),
        Scene("inside dvc repro", changed, (*RUN, "declared", "--only", "--no-record")),
    )
}


def ready(world: World) -> None:
    """Everything that scenes go back to was built once."""
    tally = Tally("ready")
    from tests.faults.world import Ended

    for pipeline, source in ((BUILD, "second, longer\n"), (LESS, "first\n"), (BUILD, "first\n")):
        world.write(pipeline, source)
        world.settle(tally, "ready", Ended(0, "", ""))
    assert not tally.wrong, tally.wrong


def points_of(world: World, scene: Scene, trace: Path) -> list[tuple[str, int]]:
    """The points of a scene, each with how often it was passed before."""
    start(world, scene)
    done = world.engines.run(scene.argv, trace=trace)
    assert done.code in scene.codes, done.out + done.err
    scene.afterwards(world)
    assert world.engines.run().code == 0
    passed: Counter[str] = Counter()
    found = []
    for label in trace.read_text().splitlines():
        found.append((label, passed[label]))
        passed[label] += 1
    return found


def start(world: World, scene: Scene) -> None:
    """Brings the world to where the scene begins."""
    if scene.name in ("fewer stages", "failing stage") and world.pipeline == FAILING:
        world.write(pipeline=BUILD)
    scene.prepare(world)


def faults_of(
    points: Sequence[tuple[str, int]], hows: Sequence[str]
) -> Iterator[tuple[str, tuple[str, int]]]:
    """Killed at every point; the other ways to fail come once for each name."""
    for how in hows:
        for label, nth in points:
            if how == "torn" and not label.startswith("os.write"):
                continue
            if how == "kill" or nth == 0:
                yield how, (label, nth)


def inject(world: World, scene: Scene, how: str, point: tuple[str, int], tally: Tally) -> None:
    """One fault, then one plain run; what is not right then is noted."""
    label, nth = point
    where = f"{scene.name}, {how} at {label} ({nth})"
    old = world.right() if scene.name != "by hand" else None
    start(world, scene)
    done = world.engines.run(scene.argv, fault={"label": label, "nth": nth, "how": how})
    tally.injected += done.struck
    tally.missed += not done.struck
    if done.struck and how in KILLS and done.code != -9:
        tally.wrong.append(f"{where}: it was not killed: {done.code} {done.err}")
    if how in ERRORS:
        told = done.out + done.err
        if done.code not in (0, 1, 4) or "Traceback" in told:
            tally.wrong.append(f"{where}: {done}")
        elif done.code and not any(word in told for word in WORDS):
            tally.wrong.append(f"{where}: exit {done.code} without a word: {told[-300:]}")
    if old is not None:
        tally.wrong += [f"{where}: {path} is half done" for path in world.half_done(old)]
    scene.afterwards(world)
    world.settle(tally, where, done, scene.may_run)


def campaign(
    world: World,
    scenes: Sequence[Scene],
    hows: Sequence[str],
    sample: int | None = None,
    seed: int = 1,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Tally]:
    """All points of the scenes, or some of them; a tally for each way to fail."""
    tallies = {how: Tally(how) for how in hows}
    for scene in scenes:
        points = points_of(world, scene, world.root.parent / "trace")
        faults = list(faults_of(points, hows))
        if sample is not None:
            faults = random.Random(seed).sample(faults, min(sample, len(faults)))
        tell(f"{scene.name}: {len(points)} points, {len(faults)} faults")
        for how, point in faults:
            inject(world, scene, how, point, tallies[how])
    return tallies
