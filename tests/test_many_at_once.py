"""Many stages, many builds and DVC itself at one time: nothing lost, nobody locked out for good.

Real processes throughout; every wait has an end, so that a dead-lock is a failure and no hang.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from mlbuild.execute.machine import capabilities
from tests.conftest import ROOT, Done

Run = Callable[..., Done]
Start = Callable[..., subprocess.Popen[str]]
PATIENCE = 120  # seconds; far more than anything here takes


def ended(process: subprocess.Popen[str]) -> Done:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"dead-locked: {process.args}\n{out}{err}")
    return Done(process.returncode, out, err)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def dvc(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def on_path(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mlbuild` as a command, which is what `dvc repro` calls."""
    folder = project.parent / "bin"
    folder.mkdir()
    command = folder / "mlbuild"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m mlbuild "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# --- stages --------------------------------------------------------------------------------------

NOTE = "echo begin {n} >> log; sleep {s}; echo end {n} >> log; echo {n} > ${{{{ outputs.o }}}}"


def stages(rows: list[tuple[str, str, float]]) -> str:
    """Stages that note when they begin and end: name, resources, seconds."""
    text = "stages:\n"
    for name, resources, seconds in rows:
        run = json.dumps(NOTE.format(n=name, s=seconds))
        text += f"  {name}: {{run: {run}, outputs: {{o: out/{name}}}, resources: {resources}}}\n"
    return text


def at_once(log: Path) -> Iterator[set[str]]:
    """The sets of stages that ran at the same time."""
    running: set[str] = set()
    for line in log.read_text().splitlines():
        what, name = line.split()
        running = running | {name} if what == "begin" else running - {name}
        yield running


def test_stages_at_one_time_stay_within_jobs_processors_and_memory(
    project: Path, pipeline: Callable[[str], Path], mlbuild: Run
) -> None:
    has = capabilities(3)
    most = f"{{memory_gb: {has.memory_gb * 0.6:.2f}}}"
    rows = [(f"m{n}", most, 0.05) for n in range(3)]
    rows += [(f"c{n}", f"{{cpu: {has.cpu}}}", 0.05) for n in range(2)]
    rows += [(f"s{n}", "{cpu: 1}", 0.05) for n in range(6)]
    pipeline(stages(rows))
    done = mlbuild("run", "pipelines/p.yaml", "--json", "-j", "3")
    assert set(done.outcomes.values()) == {"ran"}
    for running in at_once(project / "log"):
        assert len(running) <= 3
        assert sum(name[0] == "m" for name in running) <= 1
        processors = sum(has.cpu if name[0] == "c" else 1 for name in running)
        assert processors <= has.cpu
    assert any(len(running) > 1 for running in at_once(project / "log")) == (has.cpu > 1)


@pytest.mark.skipif(capabilities(1).cpu < 2, reason="one processor: nothing overtakes anything")
def test_a_large_stage_is_not_overtaken_for_ever_by_small_ones(
    project: Path, pipeline: Callable[[str], Path], mlbuild: Run
) -> None:
    small = [(f"s{n:02}", "{cpu: 1}", 0.02 + 0.01 * (n % 3)) for n in range(16)]
    large = ("large", f"{{cpu: {capabilities(1).cpu}}}", 0.02)
    pipeline(stages([*small[:2], large, *small[2:]]))
    assert mlbuild("run", "pipelines/p.yaml", "-j", "2").code == 0
    begun = [line.split()[1] for line in (project / "log").read_text().splitlines()]
    order = list(dict.fromkeys(begun))
    # Two were running, and at most two for each of the two slots may go first.
    assert order.index("large") <= 2 + 2 * 2, order


def test_stages_begin_in_the_order_of_the_file(
    project: Path, pipeline: Callable[[str], Path], mlbuild: Run
) -> None:
    names = ["z", "b", "y", "a", "x", "c"]
    pipeline(stages([(name, "{cpu: 1}", 0) for name in names]))
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    begun = [line.split()[1] for line in (project / "log").read_text().splitlines()[::2]]
    assert begun == names


# --- builds --------------------------------------------------------------------------------------


def write_pipeline(project: Path, name: str, count: int = 3) -> None:
    text = f"version: 1\nname: {name}\nstages:\n"
    for n in range(count):
        reads = f"s{n - 1}.o" if n else "./src.txt"
        run = f"{{ cat ${{{{ inputs.i }}}}; echo {name}{n}; }} > ${{{{ outputs.o }}}}"
        text += f"  s{n}: {{run: {json.dumps(run)}, inputs: {{i: {reads}}}, "
        text += f"outputs: {{o: out-{name}/{n}.txt}}}}\n"
    (project / f"pipelines/{name}.yaml").write_text(text)


def made(name: str, source: str, count: int = 3) -> dict[str, str]:
    return {
        f"out-{name}/{n}.txt": source + "".join(f"{name}{i}\n" for i in range(n + 1))
        for n in range(count)
    }


def ledger_names(project: Path) -> tuple[set[str], set[str]]:
    """The stages of dvc.lock and of dvc.yaml."""
    files = ("dvc.lock", "dvc.yaml")
    return tuple(set(yaml.safe_load((project / f).read_text())["stages"]) for f in files)  # type: ignore[return-value]


FORTY = """
import os, sys
import mlbuild.cli.run
from mlbuild.cli.main import main
children = {}
for n in range(int(sys.argv[1])):
    child = os.fork()
    if not child:
        os.setsid()
        sys.exit(main(["run", f"pipelines/p{n}.yaml", "-q"]))
    children[child] = n
failed = []
while children:
    child, status = os.wait()
    number = children.pop(child)
    if status:
        failed.append(number)
print(failed)
"""


def test_forty_builds_that_record_at_once_leave_forty_entries(project: Path, mlbuild: Run) -> None:
    (project / "src.txt").write_text("one\n")
    for n in range(40):
        write_pipeline(project, f"p{n}", 1)
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", FORTY, "40"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    done = ended(process)
    assert done.code == 0
    assert done.out.endswith("\n[]\n"), done.out + done.err
    names = {f"p{n}-s0" for n in range(40)}
    assert ledger_names(project) == (names, names)
    ignored = {line for p in project.glob("out-p*/.gitignore") for line in p.read_text().split()}
    assert ignored == {"/0.txt"}
    for n in range(40):
        for path, text in made(f"p{n}", "one\n", 1).items():
            assert (project / path).read_text() == text
    assert "up to date" in ended(dvc("status")).out
    again = mlbuild("run", "pipelines/p17.yaml", "--json")
    assert again.outcomes == {"s0": "reused"}


def test_two_pipelines_are_built_again_and_again_while_dvc_looks_and_pushes(
    project: Path, start: Start, mlbuild: Run
) -> None:
    (project / "src.txt").write_text("0\n")
    for name in "pq":
        write_pipeline(project, name)
        assert mlbuild("run", f"pipelines/{name}.yaml").code == 0
    (project / ".dvc/config").write_text(
        f"[core]\n    remote = r\n['remote \"r\"']\n    url = {project.parent / 'remote'}\n"
    )
    loops = {"status": dvc("status"), "push": dvc("push")}
    for number in range(1, 4):
        source = f"{number}\n" * number
        (project / "src.txt").write_text(source)
        running = [start("run", f"pipelines/{name}.yaml", "--json") for name in "pq"]
        for process in running:
            done = ended(process)
            assert done.code == 0, done.out + done.err
            assert set(done.outcomes.values()) == {"ran"}
        for name in "pq":
            for path, text in made(name, source).items():
                assert (project / path).read_text() == text
        for verb, process in loops.items():
            if process.poll() is not None:  # whatever it saw, it did not trip over it
                told = ended(process)
                assert "Traceback" not in told.out, told.out
                loops[verb] = dvc(verb)
    for process in loops.values():
        assert "Traceback" not in ended(process).out
    names = {f"{name}-s{n}" for name in "pq" for n in range(3)}
    assert ledger_names(project) == (names, names)
    assert "up to date" in ended(dvc("status")).out
    assert ended(dvc("push")).code == 0
    shutil.rmtree(project / ".dvc/cache")
    shutil.rmtree(project / ".mlbuild")
    for name in "pq":
        shutil.rmtree(project / f"out-{name}")
    assert ended(dvc("pull")).code == 0
    for name in "pq":
        done = mlbuild("run", f"pipelines/{name}.yaml", "--json")
        assert set(done.outcomes.values()) == {"reused"}


SLOW = """\
stages:
  a:
    run: "touch begun; until [ -e go ]; do sleep 0.02; done; echo 1 > ${{ outputs.o }}"
    outputs: {o: out/a.txt}
  b: {run: "cp ${{ inputs.i }} ${{ outputs.o }}", inputs: {i: a.o}, outputs: {o: out/b.txt}}
"""


def test_a_second_build_of_a_pipeline_says_who_holds_it_and_waits(
    project: Path, pipeline: Callable[[str], Path], start: Start
) -> None:
    pipeline(SLOW)
    first = start("run", "pipelines/p.yaml", "--json")
    until((project / "begun").exists)
    second = start("run", "pipelines/p.yaml")
    told = waiting_line(second)
    assert f"held by pid {first.pid} since " in told
    assert "run pipelines/p.yaml --json)" in told
    assert first.poll() is None
    (project / "go").touch()
    assert ended(first).outcomes == {"a": "ran", "b": "ran"}
    done = ended(second)
    assert done.code == 0
    assert "2 reused" in done.out, done.out


def waiting_line(process: subprocess.Popen[str]) -> str:
    """What a build that waits tells, on whichever stream."""
    import select

    assert process.stdout is not None
    assert process.stderr is not None
    ready, _, _ = select.select([process.stdout, process.stderr], [], [], PATIENCE)
    assert ready, "it waits in silence"
    return str(ready[0].readline())


def test_the_one_that_waited_goes_on_when_the_other_is_killed(
    project: Path, pipeline: Callable[[str], Path], start: Start, mlbuild: Run
) -> None:
    pipeline(SLOW)
    first = start("run", "pipelines/p.yaml", "--json")
    until((project / "begun").exists)
    second = start("run", "pipelines/p.yaml")
    assert f"held by pid {first.pid} since " in waiting_line(second)
    first.kill()
    ended(first)
    (project / "go").touch()
    done = ended(second)
    assert done.code == 0
    assert "2 ran" in done.out
    assert (project / "out/b.txt").read_text() == "1\n"
    assert mlbuild("run", "pipelines/p.yaml", "--json").build["reused"] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_build_waits_until_no_stage_of_a_killed_one_can_write_any_more(
    project: Path, pipeline: Callable[[str], Path], start: Start
) -> None:
    pipeline(SLOW)
    first = start("run", "pipelines/p.yaml", "--json")
    until((project / "begun").exists)
    guardian = guardian_of(first.pid)
    os.kill(guardian, signal.SIGSTOP)
    first.kill()
    ended(first)
    second = start("run", "pipelines/p.yaml", "--json")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(2)  # the stage of the first one still runs
    finally:
        os.kill(guardian, signal.SIGCONT)
    (project / "go").touch()
    assert ended(second).build["ran"] == 2


def guardian_of(engine: int) -> int:
    """The engine's child that is no stage: it runs in the top folder, once it has begun."""

    def those() -> list[int]:
        children = Path(f"/proc/{engine}/task/{engine}/children").read_text().split()
        return [int(c) for c in children if os.readlink(f"/proc/{c}/cwd") == "/"]

    until(lambda: len(those()) == 1)
    (found,) = those()
    return found


def failed_stage(build: Done) -> str:
    """The stage that failed."""
    (name,) = (stage for stage, outcome in build.outcomes.items() if outcome == "failed")
    return name


def test_a_build_and_dvc_repro_at_one_time_do_not_lock_each_other_out(
    project: Path, start: Start, mlbuild: Run, on_path: None
) -> None:
    (project / "src.txt").write_text("0\n")
    write_pipeline(project, "p")
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    for number in (1, 2):
        source = f"{number}\n" * 5
        (project / "src.txt").write_text(source)
        repro = dvc("repro")
        if number == 2:
            time.sleep(0.7)  # in the middle of it
        build = ended(start("run", "pipelines/p.yaml", "--json"))
        told = ended(repro)
        assert "Traceback" not in told.out, told.out
        assert build.code in (0, 1), build.out + build.err
        if build.code == 1:
            # DVC deletes a stage's outputs, under no lock of ours, before it calls us to make them:
            # a command that was about to read them fails. The next run is right.
            logs = (project / ".mlbuild/logs/p").glob(f"{failed_stage(build)}.log*")
            assert any("No such file" in log.read_text() for log in logs)
            assert mlbuild("run", "pipelines/p.yaml").code == 0
        for path, text in made("p", source).items():
            assert (project / path).read_text() == text
        assert mlbuild("run", "pipelines/p.yaml", "--json").build["ran"] == 0
        assert "up to date" in ended(dvc("status")).out
    names = {f"p-s{n}" for n in range(3)}
    assert ledger_names(project) == (names, names)
