"""A remote that fails half-way: damaged, gone, or one whose connections break off."""

from __future__ import annotations

import http.server
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.damage import DAMAGE
from tests.faults.points import ERRORS, KILLS, Scene, faults_of, points_of
from tests.faults.world import Ended, Tally, World, there, untrue_objects


def share(world: World) -> Path:
    """Gives the world a remote, a folder beside it, that has all of its results."""
    folder = world.root.parent / "remote"
    (world.root / ".dvc/config").write_text(
        f"[core]\n    remote = here\n['remote \"here\"']\n    url = {folder}\n"
    )
    done = world.engines.run(("push", "pipelines/p.yaml"))
    assert done.code == 0, done.out + done.err
    return folder


def become_a_clone(world: World) -> None:
    """Nothing is here but what git keeps."""
    for name in (".dvc/cache", ".mlbuild", "out", "build"):
        shutil.rmtree(world.root / name, ignore_errors=True)
    world.spoiled.clear()


def damaged(world: World, sample: int | None = None, seed: int = 1) -> Tally:
    """Each file of the remote in each way: what cannot be believed is built, nothing else is."""
    tally = Tally("remote's files damaged")
    remote = share(world)
    kept = world.root.parent / "kept-remote"
    shutil.copytree(remote, kept)
    faults = [(p, how) for p in sorted(kept.rglob("*")) if p.is_file() for how in DAMAGE]
    if sample is not None:
        faults = random.Random(seed).sample(faults, min(sample, len(faults)))
    for path, how in faults:
        shutil.rmtree(remote)
        shutil.copytree(kept, remote)
        target = remote / path.relative_to(kept)
        target.chmod(0o644)
        made = DAMAGE[how](target.read_bytes())
        if made is None:
            target.unlink()
        else:
            target.write_bytes(made)
        if how == "a folder":
            target.mkdir()
        become_a_clone(world)
        judge(world, f"{target.relative_to(remote)} {how}", tally, most=2)
    shutil.rmtree(remote)
    shutil.copytree(kept, remote)
    shutil.rmtree(kept)
    return tally


def gone(world: World) -> Tally:
    """The remote is no more, is a file, or is empty."""
    tally = Tally("remote gone")
    remote = share(world)
    aside = remote.with_name("aside")
    for what, make in STATES.items():
        remote.rename(aside)
        make(remote)
        become_a_clone(world)
        judge(world, f"remote {what}", tally, most=6)
        if remote.is_dir():
            shutil.rmtree(remote)
        remote.unlink(missing_ok=True)
        aside.rename(remote)
    return tally


STATES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.mkdir(),
    "a file": lambda path: path.write_text("not a remote"),
}


def judge(world: World, where: str, tally: Tally, most: int) -> None:
    """One run in a clone; told or healed, and right at the end."""
    tally.injected += 1
    done = world.engines.run()
    told = done.out + done.err
    if done.code not in (0, 4) or "Traceback" in told:
        tally.wrong.append(f"{where}: {done}")
    if len(done.ran) > most:
        tally.losses.append(f"{where}: {sorted(done.ran)} ran")
    if done.code == 4:
        done = world.engines.run(("run", "pipelines/p.yaml", "--json", "--offline"))
        if done.code:
            tally.wrong.append(f"{where}: and offline: {done}")
    world.settle(tally, where, Ended(0, "", ""))


class Flaky(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and breaks a share of its answers off."""

    chance = random.Random(0)
    share = 0.0

    def log_message(self, format: str, *args: object) -> None:
        """Nobody asked."""

    def do_GET(self) -> None:
        if self.chance.random() >= self.share:
            super().do_GET()
            return
        kind = self.chance.choice(["error", "short", "nothing", "wrong"])
        path = Path(self.translate_path(self.path))
        data = path.read_bytes() if path.is_file() else b""
        if kind == "error":
            self.send_error(500)
            return
        if kind == "nothing":
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if kind == "short" else bytes(len(data)))
        self.close_connection = True


@contextmanager
def served(folder: Path, share: float, seed: int) -> Iterator[str]:
    """A loopback address under which a folder is served, badly."""
    Flaky.chance, Flaky.share = random.Random(seed), share

    def handler(*args: object) -> Flaky:
        return Flaky(*args, directory=str(folder))  # type: ignore[arg-type]

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def breaking_off(world: World, rounds: int) -> Tally:
    """Pulls through connections of which many break: never a wrong byte, whatever it says."""
    tally = Tally("remote breaking off (HTTP)")
    remote = share(world)
    config = world.root / ".dvc/config"
    before = config.read_text()
    for seed in range(rounds):
        become_a_clone(world)
        with served(remote, 0.3, seed) as address:
            config.write_text(before.replace(str(remote), address))
            tally.injected += 1
            done = world.engines.run()
            if done.code not in (0, 4) or "Traceback" in done.out + done.err:
                tally.wrong.append(f"round {seed}: {done}")
            wrong = [p for p, text in there(world.root).items() if world.right().get(p) != text]
            tally.wrong += [f"round {seed}: {path} is wrong" for path in wrong]
            tally.wrong += [f"round {seed}: {text}" for text in world.poison()]
        config.write_text(before)
        world.settle(tally, f"round {seed}", done)
    return tally


def pushes(world: World, sample: int | None = None, seed: int = 1) -> Tally:
    """`mlbuild push` killed, or refused a write, at each point: no entry without its objects."""
    tally = Tally("push broken off")
    remote = share(world)

    def emptied(world: World) -> None:
        shutil.rmtree(remote, ignore_errors=True)

    scene = Scene("push", emptied, ("push", "pipelines/p.yaml"))
    points = points_of(world, scene, world.root.parent / "trace")
    faults = list(faults_of(points, ("kill", *ERRORS)))
    if sample is not None:
        faults = random.Random(seed).sample(faults, min(sample, len(faults)))
    for how, (label, nth) in faults:
        where = f"push, {how} at {label} ({nth})"
        emptied(world)
        fault = {"label": label, "nth": nth, "how": how}
        done = world.engines.run(scene.argv, fault=fault)
        tally.injected += done.struck
        tally.missed += not done.struck
        if how not in KILLS and (done.code not in (0, 4) or "Traceback" in done.out + done.err):
            tally.wrong.append(f"{where}: {done}")
        tally.wrong += [f"{where}: remote: {text}" for text in untrue_objects(remote)]
        tally.wrong += [f"{where}: remote: {text}" for text in world.promises(remote)]
        again = world.engines.run(scene.argv)
        if again.code:
            tally.wrong.append(f"{where}: pushed again: {again}")
        become_a_clone(world)
        world.settle(tally, where, Ended(0, "", ""), may_run=False)
    return tally


PULL = Scene("pull in a clone", become_a_clone, may_run=False)
