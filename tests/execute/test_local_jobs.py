"""Jobs of kinds in the local executor: fork servers, fresh processes, and how they die."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from mlbuild.attempts import Advanced, Finished, Logged, Started
from mlbuild.execute.local import LocalExecutor
from mlbuild.records import Failure

from .conftest import drain, finished
from .processes import alive, gone, noted, until

WRITE = "job.outputs['model'].write_text('m')"
NOTE = "import os; (job.scratch.parent / 'pids').open('a').write('%d ' % os.getpid())"
linux = pytest.mark.skipif(sys.platform != "linux", reason="fork servers are Linux only")


@pytest.fixture(params=["forked", "fresh"])
def fresh(request: pytest.FixtureRequest) -> bool:
    """A child of a fork server, then a process of its own."""
    return bool(request.param == "fresh")


def body(work: Any, *lines: str, head: str = "") -> None:
    work.kind(head + "def run(job):\n" + "".join(f"    {line}\n" for line in lines))


def pids(work: Any, count: int = 1, stage: str = "thing") -> list[int]:
    return noted(work.scratch / stage / "pids", count)


def started(executor: LocalExecutor, work: Any, count: int, stage: str = "thing") -> list[int]:
    """Process numbers that a running stage wrote."""
    path = work.scratch / stage / "pids"

    def ready() -> bool:
        executor.wait(0.01)
        return path.exists() and len(path.read_text().split()) == count

    assert until(ready)
    return pids(work, count, stage)


def server_of(pid: int) -> int:
    """The parent of a forked child."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def preload(work: Any, python: Path) -> Any:
    """A module that notes each of its imports; the variables that let it be found."""
    folder = work.root / "lib"
    folder.mkdir()
    (folder / "heavy.py").write_text(
        "import os, sys\n"
        "open(os.path.join(os.path.dirname(__file__), 'imports'), 'a').write('%d ' % os.getpid())\n"
        "print('heavy is here'); THREADS = os.environ['OMP_NUM_THREADS']\n"
        "HASH = sys.flags.hash_randomization\n"
    )
    return {"preload": ("heavy",), "env": {"PYTHONPATH": str(folder)}}


def test_a_job_reports_and_writes(work: Any, run: Any, python: Path, fresh: bool) -> None:
    body(
        work,
        "job.progress(1, 2, 'half')",
        "job.log('grüße')",
        "job.metric('a', 1)",
        WRITE,
    )
    events = run(work.task(work.job(), python, fresh=fresh))
    assert isinstance(events[0], Started)
    assert events[1:-1] == [
        Advanced("thing", 1.0, 2.0, "half"),
        Logged("thing", "grüße"),
    ]
    assert finished(events).failure is None
    assert work.log("thing") == "grüße\n"
    assert (work.scratch / "thing" / "metrics.json").read_text() == '{\n  "a": 1\n}\n'


def test_a_job_sees_its_environment_and_place(
    work: Any, run: Any, python: Path, fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    body(
        work,
        "import os, sys, json",
        "seen = {'cwd': os.getcwd(), 'env': dict(os.environ), 'hash': hash('a'),",
        "        'leads': os.getsid(0) == os.getpid() == os.getpgid(0)}",
        "job.outputs['model'].write_text(json.dumps(seen))",
    )
    task = work.task(work.job(), python, fresh=fresh, env={"OMP_NUM_THREADS": "3"})
    assert finished(run(task)).failure is None
    seen = json.loads((work.scratch / "thing" / "model.txt").read_text())
    assert seen["cwd"] == str(work.root)
    assert seen["leads"]
    assert seen["env"]["OMP_NUM_THREADS"] == "3"
    assert seen["env"]["PATH"].split(":")[0] == str(python.parent)
    assert set(seen["env"]) - {"LC_CTYPE"} == set(task.env) - {"LC_CTYPE"}


def test_strings_hash_the_same_in_every_process(work: Any, run: Any, python: Path) -> None:
    body(work, "job.outputs['model'].write_text(str(hash('a')))")
    jobs = [work.job(stage=name) for name in ("one", "two", "three")]
    run(*(work.task(job, python, fresh=n == 0) for n, job in enumerate(jobs)))
    assert len({(work.scratch / j["stage"] / "model.txt").read_text() for j in jobs}) == 1


def test_an_exception_is_told_with_the_stages_traceback(
    work: Any, run: Any, python: Path, fresh: bool
) -> None:
    body(work, "print('before')", "raise KeyError('lost')")
    failure = finished(run(work.task(work.job(), python, fresh=fresh))).failure
    assert failure.message == "KeyError: 'lost'"
    assert failure.traceback.count("  File") == 1
    assert failure.tail[0] == "before"
    assert work.log("thing").split("---")[0] == f"before\n{failure.traceback}\n"


def test_a_told_failure_has_no_traceback(work: Any, run: Any, python: Path, fresh: bool) -> None:
    body(work, "job.fail('no photographs', 'look at data/')")
    failure = finished(run(work.task(work.job(), python, fresh=fresh))).failure
    assert failure == Failure("no photographs", "look at data/", tail=("error: no photographs",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "the stage's process was ended by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the stage's process was ended by SIGSEGV"),
        (
            "os._exit(0)",
            "the stage's process ended with exit code 0 before run(job) returned",
        ),
        (
            "os._exit(7)",
            "the stage's process ended with exit code 7 before run(job) returned",
        ),
    ],
)
def test_a_process_that_dies_is_a_failure(
    work: Any, run: Any, fresh: bool, line: str, message: str
) -> None:
    body(work, "import os, signal, resource", "print('so far', flush=True)", line)
    failure = finished(run(work.task(work.job(), Path(sys.executable), fresh=fresh))).failure
    assert failure.message == message
    assert failure.tail == ("so far",)
    assert not failure.retryable


def test_a_child_that_closes_its_pipe_is_waited_for(
    work: Any, run: Any, python: Path, fresh: bool
) -> None:
    body(work, "import os, time", "os.closerange(3, 256)", "time.sleep(0.3)", WRITE)
    failure = finished(run(work.task(work.job(), python, fresh=fresh))).failure
    assert failure.message == "the stage's process ended with exit code 0 before run(job) returned"
    assert (work.scratch / "thing" / "model.txt").exists()


def test_garbage_on_the_pipe_is_no_event(work: Any, run: Any, python: Path, fresh: bool) -> None:
    garbage = (
        b'rubbish\n[1]\n{"event": 1}\n{"event": "pid", "pid": 1}\n{"event": "log"}\n\xff\n'
        b'{"event": "progress", "done": "x", "total": null, "text": ""}\n{}\n'
    )
    body(
        work,
        "import os",
        "for fd in range(3, 30):",
        f"    try: os.write(fd, {garbage!r})",
        "    except OSError: pass",
        WRITE,
    )
    events = run(work.task(work.job(), python, fresh=fresh))
    assert [type(e) for e in events] == [Started, Finished]
    assert finished(events).failure is None


def test_huge_output_and_many_events_are_no_problem(
    work: Any, run: Any, python: Path, fresh: bool
) -> None:
    body(work, "for n in range(3000): job.log('%d ' % n + 'x' * 1500)", WRITE)
    events = run(work.task(work.job(), python, fresh=fresh))
    assert len([e for e in events if isinstance(e, Logged)]) == 3000
    assert finished(events).failure is None
    assert len(work.log("thing").splitlines()) == 3000


def test_a_large_job_arrives_whole(work: Any, run: Any, python: Path, fresh: bool) -> None:
    body(work, "job.outputs['model'].write_text(str(len(job.params.text)))")
    job = work.job(params={"text": "ü" * 1_000_000})
    assert finished(run(work.task(job, python, fresh=fresh))).failure is None
    assert (work.scratch / "thing" / "model.txt").read_text() == "1000000"


def test_a_timeout_ends_children_of_the_stage_too(
    work: Any, run: Any, python: Path, fresh: bool
) -> None:
    body(
        work,
        NOTE,
        "import subprocess, sys",
        "child = subprocess.Popen(['sh', '-c', 'trap \"\" TERM; while :; do sleep 1; done'])",
        "(job.scratch.parent / 'pids').open('a').write('%d ' % child.pid)",
        "child.wait()",
    )
    end = finished(run(work.task(work.job(), python, fresh=fresh, timeout_seconds=1.5)))
    assert end.failure.timed_out
    assert end.failure.message == "ran longer than 1.5 s and was stopped"
    assert gone(pids(work, 2))


def test_a_stage_that_ignores_the_signal_is_killed(
    work: Any, executor: LocalExecutor, python: Path, fresh: bool
) -> None:
    body(
        work,
        "import signal, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        NOTE,
        "time.sleep(60)",
    )
    executor.submit(work.task(work.job(), python, fresh=fresh))
    (pid,) = started(executor, work, 1)
    executor.cancel("thing")
    assert finished(drain(executor)).failure.cancelled
    assert gone([pid])


def test_a_stage_that_is_cancelled_at_once_ends(
    work: Any, executor: LocalExecutor, python: Path, fresh: bool
) -> None:
    body(work, "import time; time.sleep(60)")
    executor.submit(work.task(work.job(), python, fresh=fresh))
    executor.cancel("thing")
    assert finished(drain(executor)).failure.cancelled


def test_a_python_that_is_not_there_is_a_failure(work: Any, run: Any, fresh: bool) -> None:
    body(work, WRITE)
    failure = finished(run(work.task(work.job(), Path("/no/python"), fresh=fresh))).failure
    assert failure.message == (
        "/no/python cannot be started: No such file or directory: /no/python"
    )


def test_a_python_that_does_not_start_is_a_failure(work: Any, run: Any, fresh: bool) -> None:
    body(work, WRITE)
    broken = work.root / "python"
    broken.write_text("#!/bin/sh\necho no libpython >&2\nexit 127\n")
    broken.chmod(0o755)
    failure = finished(run(work.task(work.job(), broken, fresh=fresh))).failure
    assert failure.message == "the stage's Python did not start (exit code 127)"
    assert failure.hint == "the toolchain may be damaged: `mlbuild toolchains verify` tells"
    assert failure.tail == ("no libpython",)


def test_a_closed_standard_error_hides_no_failure(
    work: Any, run: Any, python: Path, fresh: bool
) -> None:
    body(work, "import sys; sys.stdout.close(); sys.stderr.close()", "raise KeyError('lost')")
    failure = finished(run(work.task(work.job(), python, fresh=fresh))).failure
    assert failure.message == "KeyError: 'lost'"


def test_secrets_of_a_job_are_masked_everywhere(work: Any, run: Any, python: Path) -> None:
    body(work, "job.log('t0ken')", "job.progress(1, 1, 't0ken')", "job.fail('t0ken', 't0ken')")
    events = run(work.task(work.job(), python, masked=("t0ken",)))
    assert events[1:-1] == [Logged("thing", "***"), Advanced("thing", 1.0, 1.0, "***")]
    failure = finished(events).failure
    assert (failure.message, failure.hint, failure.tail) == ("***", "***", ("***", "error: ***"))
    assert "t0ken" not in (work.logs / "thing.log").read_text()


@linux
class TestForkServer:
    def test_it_imports_once_with_one_thread_and_without_random_hashes(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        body(
            work,
            "import heavy, os",
            "assert heavy.THREADS == '1' and os.environ['OMP_NUM_THREADS'] == '2'",
            "assert heavy.HASH == 0",
            WRITE,
        )
        preload["env"]["OMP_NUM_THREADS"] = "2"
        for name in ("one", "two", "three"):
            end = finished(run(work.task(work.job(stage=name), python, **preload)))
            assert end.failure is None
        assert len((work.root / "lib" / "imports").read_text().split()) == 1
        assert work.log("one") == "heavy is here\n"
        assert work.log("two") == ""

    def test_stages_with_other_variables_have_another_server(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        body(work, WRITE)
        other = {**preload, "env": {**preload["env"], "LANG": "C"}}
        run(work.task(work.job(stage="one"), python, **preload))
        run(work.task(work.job(stage="two"), python, **other))
        assert len((work.root / "lib" / "imports").read_text().split()) == 2

    def test_a_stage_that_must_be_fresh_imports_for_itself(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        body(work, "import heavy", WRITE)
        events = run(work.task(work.job(), python, fresh=True, **preload))
        assert noted(work.root / "lib" / "imports", 1) == [events[0].pid]

    def test_what_a_stage_does_to_its_process_stays_there(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        body(
            work,
            "import heavy, os, sys, tempfile",
            "assert not hasattr(heavy, 'touched') and 'X' not in os.environ",
            "heavy.touched = 1; os.environ['X'] = '1'; os.chdir('/'); os.umask(0o777 - 0o755)",
            WRITE,
        )
        for name in ("one", "two"):
            end = finished(run(work.task(work.job(stage=name), python, **preload)))
            assert end.failure is None

    def test_an_import_that_fails_is_the_stages_failure(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        (work.root / "lib" / "heavy.py").write_text("print('so')\nraise RuntimeError('no licence')")
        body(work, WRITE)
        tasks = [work.task(work.job(stage=name), python, **preload) for name in ("one", "two")]
        events = run(*tasks)
        for name in ("one", "two"):
            failure = finished(events, name).failure
            assert failure.message == (
                "module 'heavy' cannot be imported: RuntimeError: no licence"
            )
            assert failure.hint == (
                "the toolchain may be damaged: `mlbuild toolchains verify` tells"
            )
            assert failure.traceback.count("  File") == 1
            assert "RuntimeError: no licence" in work.log(name)
            assert not failure.retryable

    def test_an_import_that_kills_the_process_is_the_stages_failure(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        (work.root / "lib" / "heavy.py").write_text("import os; os.kill(os.getpid(), 4)")
        body(work, WRITE)
        failure = finished(run(work.task(work.job(), python, **preload))).failure
        assert failure.message == "importing heavy ended the process (SIGILL)"
        assert not failure.retryable

    def test_an_import_that_exits_is_the_stages_failure(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        (work.root / "lib" / "heavy.py").write_text("import sys; sys.exit(0)")
        body(work, WRITE)
        failure = finished(run(work.task(work.job(), python, **preload))).failure
        assert failure.message == "module 'heavy' cannot be imported: SystemExit: 0"

    def test_an_import_that_hangs_can_be_timed_out(
        self, work: Any, run: Any, python: Path, preload: Any
    ) -> None:
        (work.root / "lib" / "heavy.py").write_text("import time; time.sleep(60)")
        body(work, WRITE)
        end = finished(run(work.task(work.job(), python, timeout_seconds=0.3, **preload)))
        assert end.failure.timed_out

    def test_a_killed_server_fails_its_stages_as_retryable(
        self, work: Any, executor: LocalExecutor, python: Path
    ) -> None:
        body(
            work,
            "import subprocess, time",
            "child = subprocess.Popen(['sleep', '60'])",
            "(job.scratch.parent / 'pids').open('a').write('%d ' % child.pid)",
            NOTE,
            "time.sleep(60)",
        )
        for name in ("one", "two"):
            executor.submit(work.task(work.job(stage=name), python))
        processes = [*started(executor, work, 2, "one"), *started(executor, work, 2, "two")]
        os.kill(server_of(processes[1]), signal.SIGKILL)
        events = drain(executor)
        for name in ("one", "two"):
            failure = finished(events, name).failure
            assert failure == Failure(
                "the fork server of its toolchain was lost (SIGKILL)",
                "run it again",
                retryable=True,
            )
        assert gone(processes)
        body(work, WRITE)
        executor.submit(work.task(work.job(stage="one"), python))
        assert finished(drain(executor)).failure is None

    def test_closing_ends_server_and_children(self, work: Any, python: Path) -> None:
        executor = LocalExecutor(2, grace=0.2)
        body(work, NOTE, "import time; time.sleep(60)")
        executor.submit(work.task(work.job(), python))
        (child,) = started(executor, work, 1)
        server = server_of(child)
        assert alive(server)
        executor.close()
        assert gone([child, server])

    def test_closing_while_a_server_imports_does_not_wait_for_it(
        self, work: Any, python: Path, preload: Any
    ) -> None:
        (work.root / "lib" / "heavy.py").write_text("import time; time.sleep(600)")
        executor = LocalExecutor(2, grace=60)
        body(work, WRITE)
        executor.submit(work.task(work.job(), python, **preload))
        executor.wait(0.2)
        executor.close()

    def test_many_stages_of_one_server_leave_nothing_behind(
        self, work: Any, run: Any, executor: LocalExecutor
    ) -> None:
        body(work, WRITE)
        python = Path(sys.executable)
        run(work.task(work.job(stage="first"), python))
        before = len(os.listdir("/proc/self/fd"))
        names = [f"s{n}" for n in range(30)]
        events = run(*(work.task(work.job(stage=name), python) for name in names))
        assert all(e.failure is None for e in events if isinstance(e, Finished))
        assert len(os.listdir("/proc/self/fd")) == before
        (server,) = executor._servers.values()
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        assert children.read_text() == ""
        assert len(os.listdir(f"/proc/{server.process.pid}/fd")) <= 8


def test_without_fork_servers_every_stage_is_fresh(work: Any, python: Path) -> None:
    executor = LocalExecutor(2, fork=False, pidfds=False)
    body(work, WRITE)
    executor.submit(work.task(work.job(), python))
    events = drain(executor)
    executor.close()
    assert finished(events).failure is None
