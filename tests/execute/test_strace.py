"""Stages under strace: every program's reads, and nothing else that changes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlbuild.attempts import Task
from mlbuild.errors import UsageError
from mlbuild.execute import strace
from mlbuild.execute.local import LocalExecutor
from mlbuild.execute.reads import Access
from tests.conftest import Done
from tests.execute.conftest import drain, finished

Run = Callable[..., Done]


@pytest.fixture
def traced() -> None:
    """Skips where nothing can be traced."""
    try:
        strace.program()
    except UsageError as error:
        pytest.skip(error.problems[0].message)


@pytest.fixture(autouse=True)
def _forgotten() -> Any:
    """Each test finds its own strace."""
    strace.program.cache_clear()
    yield
    strace.program.cache_clear()


def parsed(tmp_path: Path, text: str, root: str = "/p") -> list[tuple[str, bool]]:
    trace = tmp_path / "trace"
    trace.write_text(text)
    return [(a.path, a.listed) for a in strace.accesses(trace, root)]


class TestReading:
    """The trace of strace 6.1, line by line."""

    def test_what_was_opened_to_be_read(self, tmp_path: Path) -> None:
        text = (
            '7 openat(AT_FDCWD</p>, "data/a.csv", O_RDONLY|O_CLOEXEC) = 3</p/data/a.csv>\n'
            '7 openat(AT_FDCWD</p/sub>, "../b", O_RDWR) = 3</p/b>\n'
            '7 openat(5</p/sub>, "c", O_RDONLY) = 4</p/sub/c>\n'
            '7 openat2(AT_FDCWD</p>, "d", {flags=O_RDONLY, resolve=0}, 24) = 3</p/d>\n'
            '7 open("e", O_RDONLY) = 3</p/e>\n'
            '7 openat(AT_FDCWD</p>, "/etc/hosts", O_RDONLY) = 3</etc/hosts>\n'
            '7 openat(AT_FDCWD</q>, "x", O_RDONLY) = 3</q/x>\n'
        )
        assert parsed(tmp_path, text) == [
            (f"/p/{name}", False) for name in ("data/a.csv", "b", "sub/c", "d", "e")
        ]

    def test_names_of_any_bytes(self, tmp_path: Path) -> None:
        text = (
            r'7 openat(AT_FDCWD</p\303\274>, "\"a\" \\ \74b\76\n.csv", O_RDONLY) = '
            r'3</p\303\274/"a" \\ \74b\76\n.csv>'
        )
        assert parsed(tmp_path, text + "\n", "/pü") == [('/pü/"a" \\ <b>\n.csv', False)]

    def test_what_was_written_before_is_no_read(self, tmp_path: Path) -> None:
        text = (
            '7 openat(AT_FDCWD</p>, "a", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</p/a>\n'
            '7 openat(AT_FDCWD</p>, "a", O_RDONLY) = 3</p/a>\n'
            '7 creat("/p/b", 0666) = 3</p/b>\n'
            '8 openat(AT_FDCWD</p>, "b", O_RDONLY) = 3</p/b>\n'
            '7 renameat2(AT_FDCWD</p>, "a", AT_FDCWD</p>, "c", RENAME_NOREPLACE) = 0\n'
            '7 openat(AT_FDCWD</p>, "c", O_RDONLY) = 3</p/c>\n'
            '7 rename("/p/b", "/p/d") = 0\n'
            '7 openat(AT_FDCWD</p>, "d", O_RDONLY) = 3</p/d>\n'
            '7 openat(AT_FDCWD</p>, "e", O_RDONLY) = 3</p/e>\n'
            '7 openat(AT_FDCWD</p>, "e", O_WRONLY|O_TRUNC) = 3</p/e>\n'
        )
        assert parsed(tmp_path, text) == [("/p/e", False)]

    def test_programs_are_read_too(self, tmp_path: Path) -> None:
        text = (
            '7 execve("/p/abs", ["abs"], 0x7ffc /* 9 vars */) = 0\n'
            '8 execve("./rel", ["rel", "/p/argument"], 0x7ffc /* 9 vars */) = 0\n'
            '8 openat(AT_FDCWD</p/sub>, "/etc/ld.so.cache", O_RDONLY) = 3</etc/ld.so.cache>\n'
            '9 execve("./static", ["static"], 0x7ffc /* 9 vars */) = 0\n'
        )
        assert sorted(parsed(tmp_path, text)) == [
            ("/p/abs", False),
            ("/p/static", False),
            ("/p/sub/rel", False),
        ]

    def test_folders_are_listed_by_programs_but_python_notes_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        text = (
            '7 execve("/bin/ls", ["ls"], 0x7ffc /* 9 vars */) = 0\n'
            f"7 getdents64(3<{tmp_path}/d>, 0x55 /* 3 entries */, 32768) = 80\n"
            '8 execve("/usr/bin/python", ["python"], 0x7ffc /* 9 vars */) = 0\n'
            '8 openat(AT_FDCWD</p>, "/lib/encodings/__init__.py", O_RDONLY) = '
            "3</lib/encodings/__init__.py>\n"
            f"8 getdents64(3<{tmp_path}/d>, 0x55 /* 3 entries */, 32768) = 80\n"
            f"9 getdents64(3<{tmp_path}>, 0x55 /* 3 entries */, 32768) = 80\n"
        )
        assert parsed(tmp_path, text, str(tmp_path.parent)) == [(f"{tmp_path}/d", True)]

    def test_a_compiled_file_is_its_source(self, tmp_path: Path) -> None:
        (tmp_path / "m.py").touch()
        path = f"{tmp_path}/__pycache__/m.cpython-311.pyc"
        text = f'7 openat(AT_FDCWD</>, "{path}", O_RDONLY|O_CLOEXEC) = 3<{path}>\n'
        assert parsed(tmp_path, text, str(tmp_path)) == [(f"{tmp_path}/m.py", False)]

    def test_a_file_that_may_be_new_is_told_with_its_time(self, tmp_path: Path) -> None:
        base = tmp_path / "base.db"
        base.touch()
        (tmp_path / "trace").write_text(
            f'7 openat(AT_FDCWD</>, "{base}", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3<{base}>\n'
        )
        found = list(strace.accesses(tmp_path / "trace", str(tmp_path)))
        assert found == [Access(str(base), False, base.stat().st_ctime_ns)]

    def test_what_strace_says_besides_is_passed_over(self, tmp_path: Path) -> None:
        text = (
            "7 +++ exited with 0 +++\n7 --- SIGCHLD {si_signo=SIGCHLD} ---\n\nnonsense\n"
            '7 openat(AT_FDCWD</p>, "a", O_RDONLY <unfinished ...>\n'
            '7 openat(AT_FDCWD</p>, "b", O_RDONLY'
        )
        assert parsed(tmp_path, text) == []
        assert list(strace.accesses(tmp_path / "none", "/p")) == []


class TestRefusals:
    def test_without_strace_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UsageError) as caught:
            strace.program()
        assert caught.value.exit_code == 2
        assert caught.value.render() == (
            "--strace: strace is not installed\n"
            "  hint: install it (apt-get install strace, dnf install strace), "
            "or leave --strace out"
        )

    def test_elsewhere_it_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(UsageError) as caught:
            strace.program()
        assert caught.value.render() == (
            "--strace needs Linux, this is macOS\n"
            "  hint: what stages in Python read is noted without it"
        )

    @pytest.mark.parametrize(
        ("says", "told"),
        [
            (
                "echo 'strace: PTRACE_SEIZE: Operation not permitted' >&2; exit 1",
                "strace: PTRACE_SEIZE: Operation not permitted",
            ),
            ("exit 3", "it ended with exit code 3"),
        ],
    )
    def test_where_tracing_is_forbidden_nothing_is_begun(
        self,
        project: Path,
        pipeline: Callable[[str], Path],
        mlbuild: Run,
        monkeypatch: pytest.MonkeyPatch,
        says: str,
        told: str,
    ) -> None:
        forbidden = project / "bin/strace"
        forbidden.parent.mkdir()
        forbidden.write_text(f"#!/bin/sh\n{says}\n")
        forbidden.chmod(0o755)
        monkeypatch.setenv("PATH", f"{forbidden.parent}:{os.environ['PATH']}")
        pipeline('stages: {a: {run: "echo a > ${{ outputs.o }}; touch ran", outputs: {o: o.txt}}}')
        done = mlbuild("run", "pipelines/p.yaml", "--strace")
        assert done.code == 2
        assert done.err == (
            f"--strace: strace does not work here: {told}\n"
            "  hint: it needs strace 5.3 or newer and the right to trace: start a container with "
            "--cap-add=SYS_PTRACE, or leave --strace out\n"
        )
        assert not (project / "ran").exists()
        assert not (project / "o.txt").exists()
        assert mlbuild("run", "pipelines/p.yaml").code == 0


@pytest.mark.usefixtures("traced")
class TestProcesses:
    """The process, its group and its end are what they are without strace."""

    def under(self, work: Any, task: Task) -> Task:
        place = work.scratch / task.stage
        place.mkdir(exist_ok=True)
        return replace(task, under=strace.prefix(place))

    def run(self, work: Any, run: Any, text: str, **more: Any) -> Any:
        return finished(run(self.under(work, work.command(text, **more)))).failure

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("exit 7", "the command ended with exit code 7"),
            ("sh -c 'exit 9' && true", "the command ended with exit code 9"),
            ("kill -SEGV $$", "the command was ended by SIGSEGV"),
            ("sh -c 'kill -TERM $$' && true", "the command ended with exit code 143 (SIGTERM)"),
            ("nowhere", "the command ended with exit code 127"),
        ],
    )
    def test_its_end_is_told_as_ever(self, work: Any, run: Any, text: str, message: str) -> None:
        assert self.run(work, run, text).message == message

    def test_its_log_holds_what_it_said_and_no_more(self, work: Any, run: Any) -> None:
        assert self.run(work, run, "echo out; echo err >&2; cat /dev/null; (true)") is None
        assert work.log() == "out\nerr\n"

    def test_a_secret_is_masked(self, work: Any, run: Any) -> None:
        assert self.run(work, run, "echo t0ken", masked=("t0ken",)) is None
        assert work.log() == "***\n"

    def test_it_is_stopped_after_its_time(self, work: Any, run: Any) -> None:
        failure = self.run(work, run, "trap '' TERM; sleep 60 & sleep 60", timeout_seconds=0.5)
        assert failure.timed_out
        self.nothing_left(work)

    def test_it_is_cancelled_with_all_that_it_started(self, work: Any) -> None:
        executor = LocalExecutor(1, grace=0.3)
        executor.submit(self.under(work, work.command("sleep 60 & touch here; sleep 60")))
        while not (work.root / "here").exists():
            executor.wait(0.02)
        executor.cancel("command")
        assert finished(drain(executor)).failure.cancelled
        executor.close()
        self.nothing_left(work)

    def test_what_it_leaves_behind_ends_with_it(self, work: Any, run: Any) -> None:
        assert self.run(work, run, "sleep 60 & true") is None
        self.nothing_left(work)

    def test_a_killed_command_is_told_and_leaves_nothing(self, work: Any, run: Any) -> None:
        assert self.run(work, run, "kill -KILL $$").message == "the command was ended by SIGKILL"
        self.nothing_left(work)

    def nothing_left(self, work: Any) -> None:
        """No process whose folder is the project."""
        end = time.monotonic() + 10
        while (left := list(_running_in(work.root))) and time.monotonic() < end:
            time.sleep(0.02)
        assert not left

    @pytest.mark.parametrize("stage", ["forked before", "with another's server"])
    def test_a_kind_has_a_process_of_its_own(self, work: Any, run: Any, stage: str) -> None:
        (work.root / "a.csv").write_text("a")
        work.kind(
            "import subprocess\ndef run(job):\n    subprocess.check_call(['cat', 'a.csv'])\n"
            "    job.log('done'); job.outputs['model'].write_text('m')\n"
        )
        task = work.task(work.job(stage=stage), Path(sys.executable))
        if stage == "forked before":
            run(task)
        assert finished(run(self.under(work, task))).failure is None
        assert work.log(stage) == "adone\n"
        trace = strace.trace_file(work.scratch / stage)
        found = {Path(a.path).name for a in strace.accesses(trace, str(work.root))}
        assert {"a.csv", "run.py"} <= found


def _running_in(folder: Path) -> Any:
    others = (p for p in Path("/proc").glob("[0-9]*") if p.name != str(os.getpid()))
    for process in others:
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX" and (process / "cwd").resolve() == folder:
                yield (process / "cmdline").read_bytes()
        except OSError:
            continue


PIPELINE = """
stages:
  train: {run: "echo m > ${{ outputs.model }}", outputs: {model: build/model.txt}}
  notes:
    needs: [train]
    run: |
      cat build/model.txt data/*.csv > side.txt
      cp side.txt ${{ outputs.page }}
      ./tools/show.sh
      ./tools/echo hello
      (cd sub; cat deep.txt)
      python -c "open('x.py')"
    outputs: {page: build/notes.html}
"""


@pytest.mark.usefixtures("traced")
def test_what_every_program_reads_is_told(
    project: Path, pipeline: Callable[[str], Path], mlbuild: Run
) -> None:
    for name in ("data/a.csv", "data/b.csv", "sub/deep.txt", "x.py"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(name)
    (project / "tools").mkdir()
    (project / "tools/show.sh").write_text("#!/bin/sh\nread line < tools/shown.txt\n")
    (project / "tools/show.sh").chmod(0o755)
    (project / "tools/shown.txt").write_text("shown\n")
    shutil.copy(shutil.which("echo") or "/bin/echo", project / "tools/echo")
    pipeline(PIPELINE)
    done = mlbuild("run", "pipelines/p.yaml", "--strace", "--json")
    assert done.code == 0, done.out + done.err
    (event,) = [e for e in done.events if e.get("stage") == "notes"]
    assert event["undeclared"] == [
        "train.model",
        "./data/",
        "./sub/deep.txt",
        "./tools/echo",
        "./tools/show.sh",
        "./tools/shown.txt",
        "./x.py",
    ]
    # Without it only Python is watched; the result is the same, and so is its key.
    alone = mlbuild("run", "pipelines/p.yaml", "--json", "--force", "notes")
    (other,) = [e for e in alone.events if e.get("stage") == "notes"]
    assert (other["undeclared"], other["key"]) == (["./x.py"], event["key"])


@pytest.mark.usefixtures("traced")
def test_an_interrupted_build_under_strace_leaves_nothing(
    project: Path, pipeline: Callable[[str], Path], start: Callable[..., subprocess.Popen[str]]
) -> None:
    pipeline('stages: {a: {run: "touch here; sleep 60 & sleep 60", outputs: {o: o.txt}}}')
    process = start("run", "pipelines/p.yaml", "--strace")
    while not (project / "here").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not list(_running_in(project))
