"""`run:` commands in the local executor."""

import os
import signal
import sys
from typing import Any

import pytest

from mlbuild.attempts import Advanced, Finished, Started, Task
from mlbuild.execute.local import LocalExecutor
from mlbuild.records import Failure

from .conftest import drain, finished
from .processes import gone, noted, until


def test_a_command_runs_in_the_project_and_its_output_is_logged(work: Any, run: Any) -> None:
    events = run(work.command("pwd; echo oops >&2; echo ü > 'a b'"))
    assert [type(e) for e in events] == [Started, Finished]
    assert finished(events).failure is None
    assert work.log() == f"{work.root}\noops\n"
    assert (work.root / "a b").read_text() == "ü\n"


def test_the_log_begins_with_the_stage_its_attempt_and_the_command(work: Any, run: Any) -> None:
    run(work.command("true", stage="quantize[bits=4]", attempt=2))
    first, second = (work.logs / "quantize[bits=4].log").read_text().splitlines()
    assert first.startswith("--- quantize[bits=4], attempt 2, 20")
    assert second == "$ true"


def test_standard_input_is_empty(work: Any, run: Any) -> None:
    assert finished(run(work.command("! read -r line"))).failure is None


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("echo a; exit 3", Failure("the command ended with exit code 3", tail=("a",))),
        ("false | true", Failure("the command ended with exit code 1")),
        (
            "kill -SEGV $$",
            Failure(
                "the command was ended by SIGSEGV",
                "a native library crashed; run it alone with `mlbuild shell`",
            ),
        ),
        (
            "kill -KILL $$",
            Failure(
                "the command was ended by SIGKILL",
                "perhaps it ran out of memory: the kernel ends processes so. Give it less to do "
                "at once, declare resources: {memory_gb: ...}, or use a smaller -j",
            ),
        ),
        (
            "exit 137",
            Failure(
                "the command ended with exit code 137 (SIGKILL)",
                "perhaps it ran out of memory: the kernel ends processes so. Give it less to do "
                "at once, declare resources: {memory_gb: ...}, or use a smaller -j",
            ),
        ),
    ],
)
def test_a_command_that_fails_says_how(work: Any, run: Any, text: str, failure: Failure) -> None:
    assert finished(run(work.command(text))).failure == failure


def test_a_program_that_is_not_there_gets_a_hint(work: Any, run: Any) -> None:
    failure = finished(run(work.command("no-such-program"))).failure
    assert failure.message == "the command ended with exit code 127"
    assert (
        failure.hint
        == "a program was not found: is it on PATH, or does the stage need a toolchain?"
    )
    assert "no-such-program: command not found" in failure.tail[-1]


def test_an_unset_variable_is_an_error(work: Any, run: Any) -> None:
    assert (
        "NO_SUCH: unbound variable" in finished(run(work.command("echo $NO_SUCH"))).failure.tail[0]
    )


def test_a_shell_that_is_not_there_is_a_failure(work: Any, run: Any) -> None:
    task = Task("a", work.root, work.logs / "a.log", {}, argv=["/no/bash", "-c", "true"])
    failure = finished(run(task)).failure
    assert failure.message == ("the command cannot be started: No such file or directory: /no/bash")


def test_a_command_that_is_too_long_is_a_failure(work: Any, run: Any) -> None:
    failure = finished(run(work.command("true " + "x" * 200_000))).failure
    assert failure.message == "the command cannot be started: Argument list too long"


def test_the_last_lines_are_told(work: Any, run: Any) -> None:
    failure = finished(run(work.command("seq 100; false"))).failure
    assert failure.tail == tuple(str(n) for n in range(81, 101))


def test_a_progress_bar_is_shown_in_its_last_state(work: Any, run: Any) -> None:
    failure = finished(
        run(work.command(r"printf '10%%\r20%%\r30%%\n\033[31mred\n'; false"))
    ).failure
    assert failure.tail == ("30%", "\N{REPLACEMENT CHARACTER}[31mred")


def test_output_that_is_no_text_is_no_problem(work: Any, run: Any) -> None:
    failure = finished(run(work.command(r"printf 'a\377b\n'; false"))).failure
    assert failure.tail == ("a\N{REPLACEMENT CHARACTER}b",)


def test_huge_output_goes_to_the_log(work: Any, run: Any) -> None:
    text = "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo end; false"
    failure = finished(run(work.command(text))).failure
    assert failure.tail[-1] == "end"
    assert (work.logs / "command.log").stat().st_size > 50_000_000


def test_several_commands_run_at_once(work: Any, run: Any) -> None:
    # Each waits for the other: one after the other they would wait for ever.
    wait = "echo > {mine}; until [ -e {other} ]; do sleep 0.01; done"
    one = work.command(wait.format(mine="a", other="b"), "one", timeout_seconds=60)
    two = work.command(wait.format(mine="b", other="a"), "two", timeout_seconds=60)
    events = run(one, two)
    assert finished(events, "one").failure is None
    assert finished(events, "two").failure is None


def test_one_stage_cannot_run_twice_at_once(work: Any, executor: LocalExecutor) -> None:
    executor.submit(work.command("sleep 60"))
    with pytest.raises(ValueError, match="stage 'command' is running already"):
        executor.submit(work.command("true"))


def test_waiting_for_nothing_returns_at_once(executor: LocalExecutor) -> None:
    assert executor.wait() == []


def test_waiting_ends_when_the_time_is_over(work: Any, executor: LocalExecutor) -> None:
    executor.submit(work.command("sleep 60"))
    assert [type(e) for e in executor.wait(0)] == [Started]
    assert executor.wait(0.01) == []


TREE = (
    "echo $$ >> pids; "
    "(trap '' TERM; echo $BASHPID >> pids; sleep 60 & echo $! >> pids; wait) & wait"
)


def test_a_timeout_ends_the_whole_tree(work: Any, run: Any) -> None:
    end = finished(run(work.command(TREE, timeout_seconds=0.5)))
    assert end.failure == Failure(
        "ran longer than 0.5 s and was stopped",
        "raise timeout_minutes of the stage if it needs longer",
        timed_out=True,
    )
    assert gone(noted(work.root / "pids", 3))


def test_cancelling_ends_the_whole_tree(work: Any, executor: LocalExecutor) -> None:
    executor.submit(work.command(TREE))
    pids = noted(work.root / "pids", 3)
    executor.cancel("command")
    end = finished(drain(executor))
    assert end.failure == Failure("was cancelled", cancelled=True)
    assert gone(pids)


def test_a_stopped_command_may_clean_up(work: Any, executor: LocalExecutor) -> None:
    # The shell ends with the signal at once, what it had started takes a moment.
    (work.root / "slow.py").write_text(
        "import signal, time, pathlib\n"
        "def end(*_):\n    time.sleep(.1); pathlib.Path('clean').touch(); raise SystemExit\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path('up').touch(); time.sleep(60)\n"
    )
    executor.submit(work.command("python slow.py; true"))
    assert until((work.root / "up").exists)
    executor.cancel("command")
    assert finished(drain(executor)).failure.cancelled
    assert (work.root / "clean").exists()


def test_cancelling_what_does_not_run_is_no_error(executor: LocalExecutor) -> None:
    executor.cancel("nothing")
    assert executor.wait(0) == []


def test_what_a_command_leaves_behind_ends_with_it(work: Any, run: Any) -> None:
    run(work.command("sleep 60 & echo $! > pids"))
    assert gone(noted(work.root / "pids", 1))


def test_closing_ends_everything_and_can_be_repeated(work: Any) -> None:
    executor = LocalExecutor(2, grace=0.2)
    executor.submit(work.command(TREE))
    pids = noted(work.root / "pids", 3)
    executor.close()
    assert gone(pids)
    executor.close()


def test_an_executor_that_ran_nothing_closes() -> None:
    LocalExecutor(1).close()


def test_a_secret_reaches_the_command_and_no_log(work: Any, run: Any) -> None:
    task = work.command("echo $TOKEN; echo ${TOKEN:0:3}; printf '%s' $TOKEN; exit 1")
    task = Task(
        task.stage,
        task.cwd,
        task.log,
        {**task.env, "TOKEN": "s3cr€t"},
        task.argv,
        masked=("s3cr€t",),
    )
    events = run(task)
    assert finished(events).failure.tail == ("***", "s3c", "***")
    assert "s3cr€t" not in task.log.read_text()
    assert "***\ns3c\n***" in task.log.read_text()


def test_a_secret_that_comes_in_two_pieces_is_masked(work: Any, run: Any) -> None:
    task = work.command("printf sec; sleep 0.2; echo ret", masked=("secret",))
    run(task)
    assert work.log() == "***\n"


def test_a_log_that_cannot_be_made_does_not_stop_a_command(work: Any, run: Any) -> None:
    (work.root / ".mlbuild").mkdir()
    work.logs.write_text("a file where the folder should be")
    assert finished(run(work.command("echo lost; touch done"))).failure is None
    assert (work.root / "done").exists()


def test_processes_are_noticed_where_the_kernel_does_not_tell(work: Any) -> None:
    executor = LocalExecutor(2, grace=0.5, pidfds=False)
    executor.submit(work.command("exit 3", "one"))
    executor.submit(work.command("sleep 60", "two", timeout_seconds=0.2))
    events = drain(executor)
    executor.close()
    assert finished(events, "one").failure.message == "the command ended with exit code 3"
    assert finished(events, "two").failure.timed_out


def test_no_process_and_no_descriptor_is_left(work: Any, executor: LocalExecutor) -> None:
    executor.submit(work.command("true"))
    drain(executor)
    before = len(os.listdir("/proc/self/fd"))
    for n in range(20):
        executor.submit(work.command("exit 1", masked=("x",) if n % 2 else ()))
        drain(executor)
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_ignored_sigchld_does_not_hide_failures(work: Any) -> None:
    former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        executor = LocalExecutor(1)
        executor.submit(work.command("exit 3"))
        assert finished(drain(executor)).failure.message == "the command ended with exit code 3"
        executor.close()
    finally:
        signal.signal(signal.SIGCHLD, former)


def test_the_machine_is_described(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2,-1,3")
    told = executor.capabilities()
    assert (told.slots, told.gpu, told.macos) == (4, 2, int(sys.platform == "darwin"))
    assert told.cpu >= 1
    assert told.memory_gb > 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert executor.capabilities().gpu == 0


def test_a_command_tells_no_progress(work: Any, run: Any) -> None:
    assert not [e for e in run(work.command("true")) if isinstance(e, Advanced)]
