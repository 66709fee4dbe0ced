"""Small kinds and commands, run in real processes."""

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlbuild.attempts import ExecutionEvent, Finished, Task
from mlbuild.execute.environment import stage_environment
from mlbuild.execute.local import LocalExecutor
from mlbuild.records import Stage


def old_python() -> Path | None:
    """A Python 3.8, the oldest that a worker must run on."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(versions.glob("3.8*/bin/python3.8"))
    on_path = shutil.which("python3.8")
    return found[0] if found else Path(on_path) if on_path and "shims" not in on_path else None


@pytest.fixture(params=["this", "3.8"])
def python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of a toolchain: this one, then the oldest that is supported."""
    if request.param == "this":
        return Path(sys.executable)
    old = old_python()
    if old is None:
        pytest.skip("there is no Python 3.8 here")
    return old


class Workplace:
    """A project in a folder with a difficult name."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "my 'project' \"ü\""
        self.stages = self.root / "stages"
        self.scratch = self.root / "build" / "p" / ".work"
        self.logs = self.root / ".mlbuild" / "logs"
        self.scratch.mkdir(parents=True)

    def kind(self, code: str, name: str = "train/thing", file: str = "run.py") -> str:
        """Writes a kind's code; the kind's folder name."""
        path = self.stages / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return name

    def job(self, folder: str = "train/thing", stage: str = "thing", **more: Any) -> dict[str, Any]:
        """A job as the engine writes it."""
        place = self.scratch / stage
        job: dict[str, Any] = {
            "version": 1,
            "stage": stage,
            "root": str(self.root),
            "stages_root": str(self.stages),
            "folder": folder,
            "run": "run.py",
            "coreml": None,
            "params": {},
            "inputs": {},
            "axes": {},
            "outputs": {"model": str(place / "model.txt")},
            "metrics": str(place / "metrics.json"),
            "plots": str(place / "plots"),
            "scratch": str(place / "tmp"),
            "threads": 1,
            "trust": [],
        }
        return {**job, **more}

    def task(self, job: dict[str, Any], python: Path, **more: Any) -> Task:
        """A task for the worker."""
        stage = Stage(job["stage"], job["stage"])
        env = {**stage_environment(stage, os.environ, python, worker=True).variables}
        env.update(more.pop("env", {}))
        log = self.logs / f"{stage.name}.log"
        return Task(stage.name, self.root, log, env, job=job, python=python, **more)

    def command(self, text: str, stage: str = "command", **more: Any) -> Task:
        """A task for the shell."""
        env = stage_environment(Stage(stage, stage), os.environ, None, worker=False).variables
        argv = ["bash", "-euo", "pipefail", "-c", text]
        return Task(stage, self.root, self.logs / f"{stage}.log", env, argv=argv, **more)

    def log(self, stage: str = "command") -> str:
        """The log of a stage's last attempt, without our header."""
        text = (self.logs / f"{stage}.log").read_text(encoding="utf-8", errors="replace")
        return text.split("\n", 2)[2]


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor(4, grace=0.5)
    yield executor
    executor.close()


Run = Callable[..., list[ExecutionEvent]]


@pytest.fixture
def run(executor: LocalExecutor) -> Run:
    """Submits tasks and returns every event until all have finished."""

    def until_done(*tasks: Task) -> list[ExecutionEvent]:
        for task in tasks:
            executor.submit(task)
        return drain(executor)

    return until_done


def drain(executor: LocalExecutor) -> list[ExecutionEvent]:
    events: list[ExecutionEvent] = []
    while got := executor.wait(60):
        events += got
    return events


def finished(events: list[ExecutionEvent], stage: str | None = None) -> Finished:
    """The end of one stage, of which there must be exactly one."""
    (end,) = [e for e in events if isinstance(e, Finished) and stage in (None, e.stage)]
    return end
