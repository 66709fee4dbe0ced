"""Worlds that are out of joint: clocks, file times, descriptors, locks of the dead, a full disk."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.faults.world import Ended, Tally, World

DAY = 86_400
QUIET = Ended(0, "", "")


def campaign(world: World, whole: bool) -> list[Tally]:
    """All of them."""
    step = 1 if whole else 6
    found = [clocks(world), file_times(world), dead_locks(world), descriptors(world, step)]
    disk = full_disk(world, range(0, 120, 2 if whole else 30))
    return [*found, disk] if disk else found


def clocks(world: World) -> Tally:
    """The clock jumps by days or minutes between two builds, back and forth."""
    tally = Tally("clock jumps")
    for jump in (-DAY, -1, 40 * DAY, -3600, 0):
        for new in (True, False):
            if new:
                world.write(source=world.new_source())
            done = world.engines.run(clock=jump)
            tally.injected += 1
            if done.code or (done.ran and not new):
                tally.wrong.append(f"clock {jump} s off: {sorted(done.ran)} ran, {done}")
            world.settle(tally, f"clock {jump} s off", done, may_run=False)
    return tally


def file_times(world: World) -> Tally:
    """Files from the future or from 1970; and a change that hides behind its file's old times."""
    tally = Tally("file times")
    for when in (0, 4_000_000_000):
        for folder in (".", "out", ".mlbuild", "pipelines", ".dvc"):
            for path in (world.root / folder).rglob("*"):
                if path.is_file() and ".git" not in path.parts:
                    os.utime(path, (when, when))
            tally.injected += 1
            world.settle(tally, f"{folder} of {when}", QUIET, may_run=False)
    source = world.root / "src.txt"
    for text in ("one-\n", "two-\n", "six-\n"):
        before = source.stat()
        world.write(source=text)
        os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
        tally.injected += 1
        world.settle(tally, f"{text!r} hidden", QUIET)
    return tally


def dead_locks(world: World) -> Tally:
    """Lock files whose processes are no more hold nobody up."""
    tally = Tally("locks of dead processes")
    dead = subprocess.Popen(["true"])
    dead.wait()
    facts = json.dumps({"pid": dead.pid, "command": "mlbuild run", "since": 0.0})
    for text in (facts, f" {dead.pid}\n", "", "garbage\n"):
        for path in (".mlbuild/locks/p.lock", ".mlbuild/locks/gate", ".dvc/tmp/lock"):
            (world.root / path).write_text(text)
        (world.root / ".dvc/tmp/rwlock").write_text("{}")
        (world.root / ".dvc/tmp/rwlock.lock").write_text(text)
        world.write(source=world.new_source())
        tally.injected += 1
        world.settle(tally, f"lock files say {text!r}", QUIET)
    return tally


def descriptors(world: World, step: int) -> Tally:
    """So few files may be open that the engine cannot go on somewhere."""
    tally = Tally("too few file descriptors")
    for limit in range(4, 40, step):
        old = world.right()
        world.write(source=world.new_source())
        done = world.engines.run(descriptors=limit)
        tally.injected += done.code != 0
        where = f"{limit} descriptors"
        tally.wrong += [f"{where}: {path} is half done" for path in world.half_done(old)]
        if done.code not in (0, 1, 2, 4) or (done.code and "oo many open files" not in str(done)):
            tally.wrong.append(f"{where}: {done}")
        world.settle(tally, where, done)
    return tally


def full_disk(world: World, pages: range) -> Tally | None:
    """A real small filesystem, with so many pages left; None where none can be mounted."""
    tally = Tally("disk really full")
    for place in (".mlbuild", ".dvc", "build", "out"):
        folder = world.root / place
        kept = world.root.parent / "kept"
        folder.rename(kept)
        folder.mkdir()
        mounted = mount(folder)
        if mounted:
            subprocess.run(["cp", "-a", f"{kept}/.", folder], check=True)
            for left in pages:
                one_filling(world, folder, left, tally)
            subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()
        kept.rename(folder)
        world.settle(tally, f"{place} as it was", QUIET)
        if not mounted:
            return None
    return tally


def mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", os.fspath(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


def one_filling(world: World, folder: Path, left: int, tally: Tally) -> None:
    old = world.right()
    world.write(source=world.new_source())
    ballast = fill(folder, 4096 * left)
    done = world.engines.run()
    where = f"{left} pages left in {folder.name}"
    tally.injected += done.code != 0
    tally.missed += done.code == 0
    told = done.out + done.err
    if done.code not in (0, 1, 4) or "Traceback" in told:
        tally.wrong.append(f"{where}: {done}")
    if done.code == 4 and "o space left" not in told:
        tally.wrong.append(f"{where}: nobody said why: {done}")
    tally.wrong += [f"{where}: {path} is half done" for path in world.half_done(old)]
    ballast.unlink()
    world.settle(tally, where, done)


def fill(folder: Path, leave: int) -> Path:
    """Takes all space of a filesystem but ``leave`` bytes; returns the file to delete."""
    ballast = folder / ".ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"\0" * 4096)
            except OSError:
                break
    os.truncate(ballast, max(0, ballast.stat().st_size - leave))
    return ballast
