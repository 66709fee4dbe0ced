"""When the engine itself dies, nothing of it may go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlbuild

from .processes import gone, noted, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ENGINE = """
import os, sys
from pathlib import Path
from mlbuild.execute.local import LocalExecutor
from mlbuild.attempts import (Task)
root = Path(sys.argv[1])
env = {"PATH": os.environ["PATH"]}
executor = LocalExecutor(4)
def job(name):
    place = root / name
    return {"version": 1, "stage": name, "root": str(root), "stages_root": str(root / "stages"),
            "folder": "train/thing", "run": "run.py", "coreml": None, "params": {}, "inputs": {},
            "axes": {}, "outputs": {}, "metrics": str(place / "metrics.json"), "plots": None,
            "scratch": str(place / "tmp"), "threads": 1, "trust": []}
def log(name):
    return root / "logs" / name
for name in ("forked", "fresh"):
    executor.submit(Task(name, root, log(name), env, job=job(name), python=Path(sys.executable),
                         fresh=name == "fresh"))
note = "trap '' TERM HUP; echo $$ >> pids; sleep 600 & echo $! >> pids; wait"
for name, masked in (("command", ()), ("masked", ("secret",))):
    executor.submit(Task(name, root, log(name), env, argv=["bash", "-c", note], masked=masked))
print("up", flush=True)
while True:
    executor.wait()
"""

STAGE = """
import os, signal, subprocess, time
def run(job):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    with open("pids", "a") as file:
        file.write("%d\\n%d\\n%d\\n" % (os.getpid(), child.pid, os.getppid()))
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_no_process_survives_the_engine(tmp_path: Path, number: signal.Signals) -> None:
    kind = tmp_path / "stages" / "train" / "thing" / "run.py"
    kind.parent.mkdir(parents=True)
    kind.write_text(STAGE)
    env = {**os.environ, "PYTHONPATH": str(Path(mlbuild.__file__).parents[1])}
    argv = [sys.executable, "-c", ENGINE, str(tmp_path)]
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, start_new_session=True) as it:
        # Two commands and two jobs, each with a child; the parents of the jobs: server and engine.
        processes = noted(tmp_path / "pids", 10)
        guardian = [p for p in children(it.pid) if p not in processes]
        it.send_signal(number)
        it.wait()
    assert len(guardian) == 1
    assert gone([p for p in processes if p != it.pid])
    assert gone(guardian)


def test_stages_end_when_the_guardian_is_killed_first(tmp_path: Path) -> None:
    """Fork servers see to their children themselves."""
    kind = tmp_path / "stages" / "train" / "thing" / "run.py"
    kind.parent.mkdir(parents=True)
    kind.write_text(STAGE)
    env = {**os.environ, "PYTHONPATH": str(Path(mlbuild.__file__).parents[1])}
    code = ENGINE.replace('("forked", "fresh")', '("forked",)').replace(
        '(("command", ()), ("masked", ("secret",)))', "()"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, start_new_session=True) as it:
        processes = noted(tmp_path / "pids", 3)
        (guardian,) = [p for p in children(it.pid) if p not in processes]
        os.kill(guardian, signal.SIGKILL)
        it.kill()
        it.wait()
    assert gone(processes)


def children(pid: int) -> list[int]:
    """Direct children of a process, of all its threads."""
    found: list[int] = []

    def read() -> bool:
        found[:] = [
            int(word)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
        return bool(found)

    assert until(read)
    return found


def test_the_guardian_forgets_groups_that_have_ended(tmp_path: Path) -> None:
    from mlbuild.execute.guardian import Guardian

    processes: list[Any] = [
        subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(4)
    ]
    guardian = Guardian()
    for process in processes:
        guardian.begins(process.pid)
    for process in (processes[0], processes[2]):
        guardian.ends(process.pid)
    guardian.close()
    ends = [process.wait() for process in (processes[1], processes[3])]
    alive = [process.poll() for process in (processes[0], processes[2])]
    for process in (processes[0], processes[2]):
        process.kill()
        process.wait()
    assert ends == [-signal.SIGKILL, -signal.SIGKILL]
    assert alive == [None, None]
