"""Each file that the engine keeps, damaged in each way that a disk or a hand can damage it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.faults.world import Ended, Tally, World

DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "empty": lambda _: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "one byte flipped": lambda data: data[: len(data) // 3] + _flipped(data[len(data) // 3 :]),
    "zeros": lambda data: bytes(len(data)),
    "garbage": lambda data: random.Random(5).randbytes(len(data) + 7),
    "of another version": lambda data: data.replace(b"1", b"9", 1),
    "a folder": lambda _: None,
    "gone": lambda _: None,
}
# A journal that stands when the next run begins: see also what `points.py` leaves behind.
JOURNALS = (b"", b"\xff[", b'{"version": 1, "moves": [[1, 2]]}', b'{"version": 99, "moves": []}')
QUIET = Ended(0, "", "")


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 0x10]) + data[1:] if data else b"x"


def state_files(root: Path) -> list[Path]:
    """All that lies under `.mlbuild/`, whatever it is."""
    return [p for p in sorted((root / ".mlbuild").rglob("*")) if p.is_file()]


def ledger_files(root: Path) -> list[Path]:
    names = ("dvc.lock", "dvc.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore")
    found = [root / name for name in (*names, "out/.gitignore", ".dvc/tmp/lock")]
    return [*found, *(root / "pipelines").glob("p?lock.*")]


def cache_files(root: Path) -> list[Path]:
    """Objects, listings of folders, entries of the run cache."""
    found = [p for p in sorted((root / ".dvc/cache").rglob("*")) if p.is_file()]
    return random.Random(6).sample(found, min(24, len(found)))


FILES: dict[str, Callable[[Path], list[Path]]] = {
    "state files": state_files,
    "ledger files": ledger_files,
    "objects and run cache": cache_files,
}


def spoil(path: Path, how: str) -> bytes | None:
    """Damages one file; returns what it held."""
    data = path.read_bytes()
    path.chmod(0o644)
    made = DAMAGE[how](data)
    if made is not None:
        path.write_bytes(made)
        return data
    path.unlink()
    if how == "a folder":
        path.mkdir()
        (path / "inner").write_text("here")
    return data


def put_back(path: Path, data: bytes | None) -> None:
    """What `git checkout` or a remedy that the error named would do."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if data is not None:
        path.write_bytes(data)


def inject(world: World, path: Path, how: str, change: bool, tally: Tally) -> None:
    """One damaged file, then a run that meets it, then one that must be right."""
    known = path.relative_to(world.root).as_posix()
    cached = known.startswith(".dvc/cache")
    where = f"{known} {how}{', source changed' if change else ''}"
    data = spoil(path, how)
    if change:
        world.write(source="first\n" if world.source != "first\n" else "second, longer\n")
    if cached:
        world.spoiled.add(path)
        shutil.rmtree(world.root / "out")
        shutil.rmtree(world.root / ".mlbuild")
    done = world.engines.run()
    tally.injected += 1
    told = done.out + done.err
    if "Traceback" in told:
        tally.wrong.append(f"{where}: {told[-900:]}")
    if done.code:
        if done.code != 4 or path.name not in told:
            tally.wrong.append(f"{where}: {done}")
        put_back(path, data if known in ("dvc.yaml", ".dvc/config") else None)
    elif not cached and done.ran:
        tally.losses.append(f"{where}: {sorted(done.ran)} ran for nothing")
    if path.is_dir():  # nobody minded
        put_back(path, None)
    world.settle(tally, where, done)


def faults_of(world: World, which: Sequence[str]) -> Iterator[tuple[Path, str, bool]]:
    for kind in which:
        for path in FILES[kind](world.root):
            for how in DAMAGE:
                for change in (False, True):
                    yield path, how, change


def campaign(world: World, which: str, sample: int | None = None, seed: int = 1) -> Tally:
    """Every file of a kind in every way, or some of it."""
    tally = Tally(f"{which} damaged")
    for source in ("first\n", "second, longer\n"):  # what a changed source goes back to
        world.write(source=source)
        world.settle(tally, "before", QUIET)
    faults = list(faults_of(world, [which]))
    if sample is not None:
        faults = random.Random(seed).sample(faults, min(sample, len(faults)))
    for path, how, change in faults:
        if path.is_file():  # another fault may have ended it
            inject(world, path, how, change, tally)
    return tally


def all_at_once(world: World) -> Tally:
    """Everything that is only knowledge, in one way at a time; or all of it gone."""
    tally = Tally("whole .mlbuild damaged or gone")
    for how in DAMAGE:
        for path in state_files(world.root):
            spoil(path, how)
        done = world.engines.run()
        tally.injected += 1
        if how == "a folder" and done.code == 4:
            shutil.rmtree(world.root / ".mlbuild")
        elif done.ran or done.code:
            tally.losses.append(f"{how}: {done.code} {sorted(done.ran)} {done.err[-300:]}")
        for path in (world.root / ".mlbuild").glob("*/*"):
            if path.is_dir() and (path / "inner").exists():
                shutil.rmtree(path)
        world.settle(tally, how, done, may_run=False)
    return tally


def journals(world: World) -> Tally:
    """A journal that nobody can read guards what may be the only copy: it is kept."""
    tally = Tally("journals damaged")
    for data in JOURNALS:
        work = world.root / "build/p/.work/declared"
        work.mkdir(parents=True)
        (work / "journal").write_bytes(data)
        (world.root / "out/declared.txt").rename(work / ".old-o")
        done = world.engines.run()
        tally.injected += 1
        kept = list((world.root / ".mlbuild/kept").rglob(".old-o"))
        if data != JOURNALS[-1] and not kept:
            tally.losses.append(f"journal {data!r}: what was put aside is gone")
        world.settle(tally, f"journal {data!r}", done, may_run=False)
        shutil.rmtree(world.root / ".mlbuild/kept", ignore_errors=True)
    return tally
