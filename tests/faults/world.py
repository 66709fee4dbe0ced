"""A project that faults are injected into, and what must hold of it afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
IN_PLACE = {"ran", "reused", "restored"}
RUN = ("run", "pipelines/p.yaml", "--json")
PATIENCE = 60  # seconds; nothing here takes more than one

# A file, a folder of files, metrics, an output left at its declared path, a fan-in, a chain.
BUILD = """\
stages:
  part:
    matrix: {n: [1, 2, 3]}
    run: "{ cat ${{ inputs.src }}; echo ${{ matrix.n }}; } > ${{ outputs.o }}"
    inputs: {src: ./src.txt}
    outputs: {o: "out/part-${{ matrix.n }}.txt"}
  folder:
    run: |
      mkdir -p ${{ outputs.o }}/inner
      for i in 1 2 3 4 5 6 7 8; do
        { cat ${{ inputs.src }}; echo $i; } > ${{ outputs.o }}/inner/$i
      done
      echo "{\\"size\\": $(wc -c < ${{ inputs.src }})}" > ${{ outputs.metrics }}
    inputs: {src: ./src.txt}
    outputs: {o: out/folder}
    metrics: out/folder.json
  declared:
    run: cat ${{ inputs.src }} ${{ inputs.src }} > out/declared.txt
    inputs: {src: ./src.txt}
    outputs: {o: out/declared.txt}
  join:
    run: cat ${{ inputs.parts }} ${{ inputs.folder }}/inner/* ${{ inputs.d }} > ${{ outputs.o }}
    inputs: {parts: {all: part.o}, folder: folder.o, d: declared.o}
    outputs: {o: out/join.txt}
"""


def expected(text: str) -> dict[str, str]:
    """What `BUILD` makes of a source: path -> content."""
    found = {f"out/part-{n}.txt": f"{text}{n}\n" for n in (1, 2, 3)}
    inner = {f"out/folder/inner/{i}": f"{text}{i}\n" for i in range(1, 9)}
    found["out/declared.txt"] = text * 2
    found["out/join.txt"] = "".join([*found.values()][:3]) + "".join(inner.values()) + text * 2
    found["out/folder.json"] = f'{{"size": {len(text)}}}\n'
    return found | inner


def there(project: Path) -> dict[str, str]:
    """All outputs that lie in the project."""
    return {
        p.relative_to(project).as_posix(): p.read_text()
        for p in (project / "out").rglob("*")
        if p.is_file() and p.name != ".gitignore"
    }


def leftovers(project: Path) -> list[Path]:
    """Scratch, journals and half-written files that nobody will clean up."""
    found = [p for p in project.glob("build/p/.work/*") if p.name != ".gitignore"]
    found += [p for p in project.rglob("*.tmp") if ".git" not in p.parts and p.is_file()]
    return found + list(project.glob(".dvc/cache/files/.mlbuild/*"))


@dataclass(frozen=True)
class Ended:
    """An engine that has ended, and what it told."""

    code: int  # -9: killed
    out: str
    err: str
    struck: bool = True  # whether it came to the point where the fault was set

    def __str__(self) -> str:
        failures = [str(e["error"]) for e in self.events if e.get("error")]
        return f"exit {self.code}: {' '.join(failures)}{self.err[-900:]}"

    @property
    def events(self) -> list[dict[str, Any]]:
        whole = self.out[: self.out.rfind("\n") + 1]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    @property
    def outcomes(self) -> dict[str, str]:
        return {e["stage"]: e["outcome"] for e in self.events if e["event"] == "stage"}

    @property
    def told(self) -> dict[str, str]:
        """Stage -> key of what was reported as finished."""
        rows = [e for e in self.events if e["event"] == "stage" and e["outcome"] in IN_PLACE]
        return {e["stage"]: e["key"] for e in rows}

    @property
    def ran(self) -> set[str]:
        return {stage for stage, outcome in self.outcomes.items() if outcome == "ran"}


class Engines:
    """Starts engines in a project, through a process that has imported all that they need."""

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        self.cwd = cwd
        self.env = {**env, "PYTHONPATH": os.fspath(ROOT), "CI": "true", "DVC_NO_ANALYTICS": "1"}
        self._folder = Path(tempfile.mkdtemp())
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.env,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._folder)

    def run(
        self,
        argv: Sequence[str] = RUN,
        fault: Mapping[str, Any] | None = None,
        trace: Path | None = None,
        kill_after: tuple[float, bool] | None = None,
        descriptors: int | None = None,
        clock: float = 0,
    ) -> Ended:
        """One engine, from its start to its end.

        Args:
            argv: the command line.
            fault: {label, nth, how}: what happens to it, and where.
            trace: a file that gets the labels of all points that it passes.
            kill_after: seconds after which it is killed, and whether with all that it started.
            descriptors: how many files it may open.
            clock: seconds by which its clock is off.
        """
        from tests.faults.zygote import below

        out, err, mark = (self._folder / name for name in ("out", "err", "mark"))
        mark.unlink(missing_ok=True)
        request = {
            "argv": list(argv),
            "cwd": os.fspath(self.cwd),
            "env": self.env,
            "out": os.fspath(out),
            "err": os.fspath(err),
            "fault": {**fault, "mark": os.fspath(mark)} if fault else None,
            "trace": os.fspath(trace) if trace else None,
            "descriptors": descriptors,
            "clock": clock,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        pid = self._answer(PATIENCE)["pid"]
        if kill_after is not None and not self._ready(kill_after[0]):
            for victim in (*(below(pid) if kill_after[1] else ()), pid):
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        if not self._ready(PATIENCE):
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"{argv} with {fault} hangs: {err.read_text()}")
        status = self._answer(PATIENCE)["status"]
        return Ended(status, out.read_text(), err.read_text(), mark.exists() or status == -9)

    def _ready(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _answer(self, seconds: float) -> dict[str, int]:
        assert self._process.stdout is not None
        if not self._ready(seconds):
            raise TimeoutError("the process that forks engines hangs")
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


TITLES = {
    "kill": "engine killed at each point where it writes",
    "kill all": "engine and all its processes killed at a point",
    "torn": "killed in the middle of a write",
    "ENOSPC": "disk full from a point on",
    "EIO": "one write refused (EIO)",
    "EROFS": "read-only from a point on",
}


@dataclass
class Tally:
    """What one class of faults did."""

    name: str
    injected: int = 0
    missed: int = 0  # the engine never came to the point
    losses: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What people call it."""
        return TITLES.get(self.name, self.name)

    def add(self, other: Tally) -> None:
        """Counts another one of the same kind in."""
        self.injected += other.injected
        self.missed += other.missed
        self.losses += other.losses
        self.wrong += other.wrong


class World:
    """One project, built, and all that is known to be true of it."""

    def __init__(self, root: Path, engines: Engines) -> None:
        self.root, self.engines = root, engines
        self.source, self.pipeline, self.number = "first\n", BUILD, 0
        self.spoiled: set[Path] = set()  # objects that a test damaged, and that may lie unseen
        self.truth: dict[str, dict[str, str]] = {}  # key -> output's path -> content
        (root / "pipelines").mkdir(parents=True, exist_ok=True)
        self.write(BUILD, "first\n")

    def write(self, pipeline: str | None = None, source: str | None = None) -> None:
        if pipeline is not None:
            self.pipeline = pipeline
            (self.root / "pipelines/p.yaml").write_text(f"version: 1\nname: p\n{pipeline}")
        if source is not None:
            self.source = source
            (self.root / "src.txt").write_text(source)

    def new_source(self) -> str:
        """One that was never built. Lengths differ: no stat cache may be right by luck."""
        self.number += 1
        return f"source {self.number}\n" * (1 + self.number % 7)

    def right(self) -> dict[str, str]:
        """What must lie in the project."""
        found = expected(self.source)
        if "  declared:" not in self.pipeline:
            del found["out/declared.txt"]
            found["out/join.txt"] = found["out/join.txt"][: -2 * len(self.source)]
        return found

    def settle(self, tally: Tally, where: str, before: Ended, may_run: bool = True) -> Ended:
        """One plain run after a fault: all must be right again."""
        for half in self.root.glob(".dvc/cache/files/.mlbuild/*"):
            os.utime(half, (0, 0))  # such files are swept after an hour: others may share the cache
        after = self.engines.run()
        if after.code != 0:
            tally.wrong.append(f"{where}: {after}")
            return after
        keys = {e["stage"]: e["key"] for e in after.events if e["event"] == "stage"}
        lost = [s for s, k in before.told.items() if keys.get(s) == k and s in after.ran]
        tally.losses += [f"{where}: {stage} was told as done, yet ran again" for stage in lost]
        if not may_run and after.ran:
            tally.losses.append(f"{where}: {sorted(after.ran)} ran for nothing")
        self.check(tally, where)
        self.learn(keys)
        return after

    def check(self, tally: Tally, where: str) -> None:
        """Bytes, leftovers, the cache."""
        found, right = there(self.root), self.right()
        if "  declared:" not in self.pipeline:
            found.pop("out/declared.txt", None)  # what a stage that is gone has made stays
        bad = sorted(p for p in found.keys() | right.keys() if found.get(p) != right.get(p))
        tally.wrong += [f"{where}: {path} is wrong" for path in bad]
        tally.wrong += [f"{where}: {path} was left behind" for path in leftovers(self.root)]
        tally.wrong += [f"{where}: {text}" for text in self.poison()]

    def half_done(self, old: Mapping[str, str]) -> list[str]:
        """Outputs that are neither what was there nor what is being made."""
        new = self.right()
        return [
            path
            for path, text in there(self.root).items()
            # A command that leaves its output at the declared path writes there itself.
            if path in new and path != "out/declared.txt" and text not in (old.get(path), new[path])
        ]

    def learn(self, keys: Mapping[str, str]) -> None:
        """What is in place now is what these keys mean."""
        paths = {"folder": ["out/folder/inner/1", "out/folder.json"], "join": ["out/join.txt"]}
        paths |= {f"part[n={n}]": [f"out/part-{n}.txt"] for n in (1, 2, 3)}
        paths["declared"] = ["out/declared.txt"]
        right = self.right()
        for stage, key in keys.items():
            if stage in paths:
                self.truth[key] = {path: right[path] for path in paths[stage]}

    def poison(self) -> list[str]:
        """Objects under a name that is not theirs, and entries that promise what is not so."""
        used = (self.root / "dvc.lock").read_text()
        unseen = {p for p in self.spoiled if p.parent.name + p.name not in used}
        cache = self.root / ".dvc/cache"
        return untrue_objects(cache, unseen) + self.promises(cache)

    def promises(self, cache: Path) -> list[str]:
        """What entries of a run cache say that is not so."""
        found = []
        for file in (cache / "runs").glob("??/*/*"):
            try:
                entry = json.loads(file.read_bytes())
                ((_, pins),) = entry["params"].items()
                ((_, pin),) = pins.items()
                outs = {out["path"]: out["md5"] for out in entry["outs"]}
            except (ValueError, KeyError):
                continue  # damaged: nobody believes it
            for path, text in self.truth.get(pin["key"], {}).items():
                if path in outs and outs[path] != hashlib.md5(text.encode()).hexdigest():
                    found.append(f"the run cache says that {path} of {pin['key'][:8]} is another")
            objects = {md5: cache / "files/md5" / md5[:2] / md5[2:] for md5 in outs.values()}
            gone = [md5 for md5, o in objects.items() if not o.exists() and o not in self.spoiled]
            found += [f"{md5} is promised and missing" for md5 in gone]
        return found


def untrue_objects(cache: Path, unseen: Collection[Path] = ()) -> list[str]:
    """Objects that are not what their name says."""
    found = []
    for file in (cache / "files/md5").glob("??/*"):
        name = (file.parent.name + file.name).removesuffix(".dir")
        half = len(name) != 32  # what a copy that was broken off left has another name
        if file in unseen or half:
            continue
        if file.is_dir() or hashlib.md5(file.read_bytes()).hexdigest() != name:
            found.append(f"object {name} holds something else")
    return found


def make_world(folder: Path, environment: Mapping[str, str], git: bool = True) -> World:
    """A project that was built once; close `world.engines` when done."""
    root = folder / "project"
    root.mkdir(parents=True)
    if git:
        subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    env = {**environment, "MLBUILD_CACHE_DIR": os.fspath(folder / "cache")}
    world = World(root, Engines(root, env))
    tally = Tally("start")
    world.settle(tally, "first build", Ended(0, "", ""))
    assert not tally.wrong, tally.wrong
    return world


def wait_a_tick() -> None:
    """Until stat data of what is written next differ from those of what was written last."""
    time.sleep(0.03)
