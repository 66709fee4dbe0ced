"""Whole builds of `run:` stages through the command line: what runs, what is said, what is left."""

import http.server
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Done

Run = Callable[..., Done]
Write = Callable[[str], Path]

CHAIN = """\
params: {word: hello}
stages:
  first:
    run: cat ${{ inputs.src }} > ${{ outputs.o }}; echo ${{ params.word }} >> ${{ outputs.o }}
    inputs: {src: ./src.txt}
    outputs: {o: out/first.txt}
  second:
    run: tr a-z A-Z < ${{ inputs.i }} > ${{ outputs.o }}
    inputs: {i: first.o}
    outputs: {o: out/second.txt}
  other:
    run: echo other > ${{ outputs.o }}
    outputs: {o: out/other.txt}
"""


@pytest.fixture
def chain(project: Path, pipeline: Write, mlbuild: Run) -> Run:
    """The chain, built once; returns how to build it again, with --json."""
    (project / "src.txt").write_text("source\n")
    file = pipeline(CHAIN)
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.err + done.out
    assert done.build["ran"] == 3
    return lambda *more: mlbuild("run", os.path.relpath(file), "--json", *more)


def test_outputs_lie_where_they_were_declared(chain: Run, project: Path) -> None:
    assert (project / "out/second.txt").read_text() == "SOURCE\nHELLO\n"


def test_nothing_runs_the_second_time(chain: Run) -> None:
    assert chain().build["reused"] == 3


def test_a_changed_input_runs_its_readers_and_no_others(chain: Run, project: Path) -> None:
    (project / "src.txt").write_text("changed\n")
    done = chain()
    assert done.outcomes == {"first": "ran", "second": "ran", "other": "reused"}
    assert done.reasons["first"] == ["input_changed"]
    assert done.reasons["second"] == ["input_changed"]


def test_a_changed_parameter_runs_what_uses_it(chain: Run) -> None:
    done = chain("--set", "word=bye")
    assert done.outcomes["first"] == "ran"
    assert done.outcomes["other"] == "reused"


def test_going_back_to_an_earlier_state_restores(chain: Run, project: Path) -> None:
    (project / "src.txt").write_text("changed\n")
    chain()
    (project / "src.txt").write_text("source\n")
    done = chain()
    assert done.outcomes == {"first": "restored", "second": "restored", "other": "reused"}
    assert (project / "out/second.txt").read_text() == "SOURCE\nHELLO\n"


def test_equal_bytes_stop_the_wave(chain: Run, project: Path, pipeline: Write) -> None:
    pipeline(CHAIN.replace("cat ${{ inputs.src }} >", "cat   ${{ inputs.src }} >"))
    done = chain()
    assert done.outcomes == {"first": "ran", "second": "reused", "other": "reused"}
    assert done.reasons["first"] == ["code_changed"]


COSMETIC = [
    ("a comment", lambda text: "# a comment\n" + text.replace("stages:", "stages:   # more")),
    ("another order of keys", lambda text: text.replace(
        "    inputs: {i: first.o}\n    outputs: {o: out/second.txt}\n",
        "    outputs: {o: out/second.txt}\n    inputs: {i: first.o}\n",
    )),
    ("a block in place of a flow", lambda text: text.replace(
        "params: {word: hello}", "params:\n  word: 'hello'"
    )),
]  # fmt: skip


@pytest.mark.parametrize(("what", "edit"), COSMETIC, ids=[c[0] for c in COSMETIC])
def test_a_cosmetic_change_runs_nothing(
    chain: Run, pipeline: Write, what: str, edit: Callable[[str], str]
) -> None:
    assert edit(CHAIN) != CHAIN
    pipeline(edit(CHAIN))
    assert chain().build["reused"] == 3


def test_a_touch_runs_nothing(chain: Run, project: Path) -> None:
    os.utime(project / "src.txt", (1, 1))
    assert chain().build["reused"] == 3


def test_moving_the_checkout_runs_nothing(
    chain: Run, project: Path, mlbuild: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = project.with_name("moved")
    project.rename(moved)
    monkeypatch.chdir(moved)
    assert mlbuild("run", "pipelines/p.yaml", "--json").build["reused"] == 3


def test_deleting_what_mlbuild_remembers_runs_nothing(chain: Run, project: Path) -> None:
    shutil.rmtree(project / ".mlbuild")
    done = chain()
    assert (done.build["ran"], done.build["failed"]) == (0, 0)


def test_a_deleted_output_is_restored(chain: Run, project: Path) -> None:
    (project / "out/first.txt").unlink()
    done = chain()
    assert done.outcomes == {"first": "restored", "second": "reused", "other": "reused"}
    assert done.reasons["first"] == ["output_missing"]


def test_an_output_changed_by_hand_is_kept_aside_and_restored(chain: Run, project: Path) -> None:
    (project / "out/second.txt").write_text("by hand\n")
    done = chain()
    assert done.outcomes["second"] == "restored"
    assert done.reasons["second"] == ["output_modified"]
    assert (project / "out/second.txt").read_text() == "SOURCE\nHELLO\n"
    (kept,) = [p for p in (project / ".mlbuild/kept").rglob("*") if p.is_file()]
    assert kept.read_text() == "by hand\n"


def test_force_runs_what_is_up_to_date(chain: Run) -> None:
    done = chain("--force", "first")
    assert done.outcomes == {"first": "ran", "second": "reused", "other": "reused"}
    assert done.reasons["first"] == ["forced"]


def test_a_target_builds_what_it_needs_and_nothing_else(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    (project / "src.txt").write_text("x\n")
    pipeline(CHAIN)
    done = mlbuild("run", "pipelines/p.yaml", "second", "--json")
    assert done.outcomes == {"first": "ran", "second": "ran"}


def test_only_runs_the_target_alone(chain: Run, project: Path) -> None:
    (project / "src.txt").write_text("changed\n")
    assert chain("second", "--only").outcomes == {"second": "reused"}


def test_a_dry_run_tells_and_does_nothing(chain: Run, project: Path) -> None:
    (project / "src.txt").write_text("changed\n")
    done = chain("--dry-run")
    decisions = {e["stage"]: e["decision"] for e in done.events if e["event"] == "stage"}
    assert decisions == {"first": "run", "second": "pending", "other": "reuse"}
    assert (project / "out/first.txt").read_text() == "source\nhello\n"


def test_status_tells_the_same_as_a_dry_run(chain: Run, project: Path, mlbuild: Run) -> None:
    (project / "src.txt").write_text("changed\n")
    assert mlbuild("status", "pipelines/p.yaml", "--json").out == chain("--dry-run").out


def test_explain_shows_old_and_new_value(chain: Run, mlbuild: Run) -> None:
    done = mlbuild("explain", "pipelines/p.yaml", "first", "--set", "word=bye")
    assert "first: run (code changed" in done.out
    assert "echo hello" in done.out
    assert "echo bye" in done.out


def test_locked_lists_what_would_run_and_runs_nothing(chain: Run, project: Path) -> None:
    (project / "src.txt").write_text("changed\n")
    done = chain("--locked")
    assert done.code == 4
    assert done.outcomes == {"first": "skipped", "second": "skipped", "other": "reused"}
    assert (project / "out/first.txt").read_text() == "source\nhello\n"


def test_a_dry_run_that_is_locked_ends_as_the_run_would(chain: Run, project: Path) -> None:
    assert chain("--locked", "--dry-run").code == 0
    (project / "src.txt").write_text("changed\n")
    assert chain("--locked", "--dry-run").code == 4


def test_locked_is_content_with_what_is_up_to_date(chain: Run) -> None:
    assert chain("--locked").code == 0


# --- failures ----------------------------------------------------------------------------------

BROKEN = """\
stages:
  good: {run: "echo good > ${{ outputs.o }}", outputs: {o: good.txt}}
  bad:
    run: |
      echo one; echo the last word >&2
      exit 3
    outputs: {o: bad.txt}
  behind: {run: "cp ${{ inputs.i }} ${{ outputs.o }}", inputs: {i: bad.o}, outputs: {o: b.txt}}
"""


def test_a_failure_shows_its_last_lines_and_its_log_and_exits_1(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline(BROKEN)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 1
    assert "the last word" in done.out
    assert "log: .mlbuild/logs/p/bad.log" in done.out
    assert "Traceback" not in done.out + done.err
    assert "the last word" in (project / ".mlbuild/logs/p/bad.log").read_text()


def test_what_was_finished_before_a_failure_is_kept(pipeline: Write, mlbuild: Run) -> None:
    pipeline(BROKEN)
    first = mlbuild("run", "pipelines/p.yaml", "--json")
    assert first.outcomes == {"good": "ran", "bad": "failed", "behind": "skipped"}
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert again.outcomes["good"] == "reused"


def test_a_failing_stage_leaves_its_former_output(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline(BROKEN.replace("exit 3", "echo fine > ${{ outputs.o }}"))
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    pipeline(BROKEN.replace("exit 3", "echo half > ${{ outputs.o }}; exit 3"))
    assert mlbuild("run", "pipelines/p.yaml").code == 1
    assert (project / "bad.txt").read_text() == "fine\n"


def test_an_output_that_was_not_written_is_a_failure(pipeline: Write, mlbuild: Run) -> None:
    pipeline('stages:\n  a: {run: "true # ${{ outputs.o }}", outputs: {o: a.txt}}\n')
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 1
    error = done.events[0]["error"]["message"]
    assert error == "it succeeded, but left nothing at its output 'o'"


def test_a_command_may_write_to_its_declared_path(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline('stages:\n  a: {run: "mkdir -p d; echo hi > d/a.txt", outputs: {o: d/a.txt}}\n')
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    assert (project / "d/a.txt").read_text() == "hi\n"
    assert mlbuild("run", "pipelines/p.yaml", "--json").build["reused"] == 1


def test_a_failing_command_s_declared_path_is_put_back(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline('stages:\n  a: {run: "echo one > a.txt", outputs: {o: a.txt}}\n')
    assert mlbuild("run", "pipelines/p.yaml").code == 0
    pipeline('stages:\n  a: {run: "echo half > a.txt; false", outputs: {o: a.txt}}\n')
    assert mlbuild("run", "pipelines/p.yaml").code == 1
    assert (project / "a.txt").read_text() == "one\n"


def test_retries_are_told_and_used(pipeline: Write, mlbuild: Run, project: Path) -> None:
    pipeline(
        "stages:\n  a:\n    retries: 1\n    outputs: {o: a.txt}\n"
        "    run: if [ -e tried ]; then echo ok > ${{ outputs.o }}; else touch tried; exit 1; fi\n"
    )
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 0
    assert "trying again" in done.out


def test_a_timeout_ends_the_whole_process_group(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline(
        "stages:\n  a:\n    timeout_minutes: 0.01\n    outputs: {o: a.txt}\n"
        "    run: (sleep 300; echo late > late.txt) & sleep 300; touch ${{ outputs.o }}\n"
    )
    began = time.monotonic()
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 1
    assert time.monotonic() - began < 60
    assert not (project / "late.txt").exists()


def test_keep_going_runs_what_is_still_possible(pipeline: Write, mlbuild: Run) -> None:
    pipeline(BROKEN + '  last: {run: "echo x > ${{ outputs.o }}", outputs: {o: last.txt}}\n')
    done = mlbuild("run", "pipelines/p.yaml", "--json", "--keep-going")
    assert done.code == 1
    assert done.outcomes["last"] == "ran"


def test_an_input_that_changes_while_its_reader_runs_is_noticed(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    (project / "src.txt").write_text("one\n")
    pipeline(
        "stages:\n  a:\n    inputs: {src: ./src.txt}\n    outputs: {o: a.txt}\n"
        "    run: cp ${{ inputs.src }} ${{ outputs.o }}; echo two >> src.txt\n"
    )
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 1
    message = done.events[0]["error"]["message"]
    assert message == "its input 'src' changed while it ran; the result was not kept"
    assert not (project / "a.txt").exists()


def test_secrets_reach_the_stage_and_no_log(pipeline: Write, mlbuild: Run, project: Path) -> None:
    pipeline(
        "stages:\n  a:\n    secrets: [TOKEN]\n    outputs: {o: a.txt}\n"
        '    run: echo "it is $TOKEN"; echo ${#TOKEN} > ${{ outputs.o }}\n'
    )
    done = mlbuild("run", "pipelines/p.yaml", "-v", env={"TOKEN": "hunter2hunter2"})
    assert done.code == 0
    assert (project / "a.txt").read_text() == "14\n"
    assert "hunter2" not in done.out + (project / ".mlbuild/logs/p/a.log").read_text()


# --- gates -------------------------------------------------------------------------------------

GATED = """\
stages:
  check:
    matrix: {level: [10, 50]}
    run: |
      echo '{"psnr": ${{ matrix.level }}}' > ${{ outputs.metrics }}
      echo ${{ matrix.level }} > ${{ outputs.o }}
    outputs: {o: "out/${{ matrix.level }}.txt"}
    metrics: "out/${{ matrix.level }}.json"
    gates: {psnr: {min: 40}, on_fail: FAIL}
  use:
    run: cat ${{ inputs.all }} > ${{ outputs.o }}
    inputs: {all: {all: check.o}}
    outputs: {o: out/use.txt}
"""


def test_a_failed_gate_blocks_what_is_behind_it_and_exits_5_each_time(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline(GATED.replace("FAIL", "stop"))
    for _ in range(2):
        done = mlbuild("run", "pipelines/p.yaml", "--json", "--keep-going")
        assert done.code == 5
        assert done.outcomes["check[level=10]"] == "gate_failed"
        assert done.outcomes["use"] == "skipped"
    assert not (project / "out/use.txt").exists()


def test_a_gate_may_exclude_its_variant_from_lists(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline(GATED.replace("FAIL", "exclude"))
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.out
    assert done.outcomes["check[level=10]"] == "excluded"
    assert (project / "out/use.txt").read_text() == "50\n"
    status = subprocess.run(
        [Path(sys.executable).with_name("dvc"), "status"], capture_output=True, text=True
    )
    assert "up to date" in status.stdout, status.stdout + status.stderr


# --- interrupting, killing, two at once --------------------------------------------------------

SLOW = """\
stages:
  quick: {run: "echo quick > ${{ outputs.o }}", outputs: {o: quick.txt}}
  slow:
    run: |
      echo $$ > pid; sleep 300 & wait
      echo slow > ${{ outputs.o }}
    inputs: {q: quick.o}
    outputs: {o: slow.txt}
"""


def wait_for(path: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.02)


def group_is_gone(leader: int) -> bool:
    """Waits a little: what was killed may be a zombie until somebody reaps it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = subprocess.run(
            ["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        living = [line for line in map(str.split, found) if not line[1].startswith("Z")]
        if str(leader) not in {group for group, _ in living}:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_children_and_keeps_what_was_finished(
    pipeline: Write,
    start: Callable[..., subprocess.Popen[str]],
    mlbuild: Run,
    project: Path,
    number: signal.Signals,
) -> None:
    pipeline(SLOW)
    process = start("run", "pipelines/p.yaml", "--json")
    wait_for(project / "pid")
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert Done(130, out, "").outcomes == {"quick": "ran", "slow": "cancelled"}
    assert group_is_gone(int((project / "pid").read_text()))
    pipeline(SLOW.replace("sleep 300 & wait", "true"))
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert again.outcomes == {"quick": "reused", "slow": "ran"}


def test_after_a_killed_engine_nothing_survives_and_the_next_run_is_right(
    pipeline: Write, start: Callable[..., subprocess.Popen[str]], mlbuild: Run, project: Path
) -> None:
    pipeline(SLOW)
    process = start("run", "pipelines/p.yaml")
    wait_for(project / "pid")
    process.kill()
    process.communicate()
    assert group_is_gone(int((project / "pid").read_text())), "the stage survived the engine"
    pipeline(SLOW.replace("sleep 300 & wait", "true"))
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0
    assert done.outcomes["slow"] == "ran"
    assert done.outcomes["quick"] in ("reused", "restored")


def test_a_second_run_says_who_builds_and_waits(
    pipeline: Write, start: Callable[..., subprocess.Popen[str]], mlbuild: Run, project: Path
) -> None:
    pipeline(SLOW.replace("sleep 300 & wait", "while [ ! -e go ]; do sleep 0.05; done"))
    first = start("run", "pipelines/p.yaml")
    wait_for(project / "pid")
    second = start("run", "pipelines/p.yaml", "--json")
    third = start("run", "pipelines/p.yaml")
    time.sleep(1.5)
    assert second.poll() is None
    (project / "go").touch()
    first.communicate(timeout=60)
    out, _ = second.communicate(timeout=60)
    told, _ = third.communicate(timeout=60)
    assert Done(0, out, "").build["reused"] == 2
    assert f"pid {first.pid}" in told


def test_a_killed_stage_process_is_a_failure_that_names_the_signal(
    pipeline: Write, mlbuild: Run
) -> None:
    pipeline('stages:\n  a: {run: "kill -9 $$; echo ${{ outputs.o }}", outputs: {o: a.txt}}\n')
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 1
    assert "SIGKILL" in done.events[0]["error"]["message"]


# --- bad surroundings --------------------------------------------------------------------------


def test_garbage_of_100_000_lines_is_refused_at_once(project: Path, mlbuild: Run) -> None:
    (project / "pipelines/p.yaml").write_text("{{{ : : garbage\n" * 100_000)
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 2
    assert "pipelines/p.yaml:1:" in done.err
    assert "Traceback" not in done.err


def test_an_output_folder_on_another_filesystem_works(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == project.stat().st_dev:
        pytest.skip("there is no second filesystem here")
    target = elsewhere / f"mlbuild-test-{os.getpid()}"
    target.mkdir()
    try:
        (project / "far").symlink_to(target)
        pipeline('stages:\n  a: {run: "echo far > ${{ outputs.o }}", outputs: {o: far/a.txt}}\n')
        assert mlbuild("run", "pipelines/p.yaml").code == 0
        assert (target / "a.txt").read_text() == "far\n"
        assert mlbuild("run", "pipelines/p.yaml", "--json").build["reused"] == 1
    finally:
        shutil.rmtree(target)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_input_folder_is_told(pipeline: Write, mlbuild: Run, project: Path) -> None:
    closed = project / "closed"
    closed.mkdir(mode=0)
    pipeline(
        'stages:\n  a: {run: "ls ${{ inputs.i }} > ${{ outputs.o }}", inputs: {i: ./closed/},'
        " outputs: {o: a.txt}}\n"
    )
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 4
    assert "closed" in done.err


def test_a_pipeline_that_is_not_there_is_told(project: Path, mlbuild: Run) -> None:
    done = mlbuild("run", "pipelines/nothing.yaml")
    assert done.code == 2
    assert "pipelines/nothing.yaml" in done.err
    assert "Traceback" not in done.err


def test_a_mistyped_verb_gets_the_nearest_one(project: Path, mlbuild: Run) -> None:
    done = mlbuild("rum", "pipelines/p.yaml")
    assert done.code == 2
    assert "Did you mean 'run'?" in done.err


# --- --check-reproducible ----------------------------------------------------------------------


def test_a_stage_that_gives_other_bytes_each_time_is_found(
    pipeline: Write, mlbuild: Run, project: Path
) -> None:
    pipeline('stages:\n  a: {run: "date +%N > ${{ outputs.o }}", outputs: {o: a.txt}}\n')
    told = "not reproducible: two runs from the same inputs differ in a.o"
    done = mlbuild("run", "pipelines/p.yaml", "--check-reproducible", "a")
    assert done.code == 1
    assert told in done.out
    assert "p: ok" not in done.out
    done = mlbuild("run", "pipelines/p.yaml", "--check-reproducible", "a", "--json")
    assert (done.code, done.build["outcome"], done.build["exit_code"]) == (1, "failed", 1)
    assert told in done.build["notes"]
    assert [e["event"] for e in done.events] == ["stage", "stage", "build"]


def test_a_stage_that_gives_the_same_bytes_is_told_too(pipeline: Write, mlbuild: Run) -> None:
    pipeline('stages:\n  a: {run: "echo 1 > ${{ outputs.o }}", outputs: {o: a.txt}}\n')
    done = mlbuild("run", "pipelines/p.yaml", "--check-reproducible", "a")
    assert done.code == 0
    assert "reproducible: two runs from the same inputs gave the same bytes" in done.out


def test_what_is_known_from_the_ledger_alone_explains_no_change_that_was_none(
    chain: Run, project: Path, mlbuild: Run
) -> None:
    shutil.rmtree(project / ".mlbuild")
    done = mlbuild("explain", "pipelines/p.yaml", "second")
    head = "second: reuse\n  every part of its key is as it was\n  its outputs are in place: last"
    assert done.out.startswith(head)
    (project / "src.txt").write_text("changed\n")
    assert chain().reasons["second"] == ["input_changed"]


@pytest.mark.parametrize(
    ("output", "code", "told"),
    [("/dev/full", 4, "standard output: No space left on device\n"), ("&-", 0, "")],
)
def test_an_output_that_takes_nothing_is_no_traceback(
    pipeline: Write, mlbuild: Run, output: str, code: int, told: str
) -> None:
    pipeline('stages:\n  a: {run: "echo 1 > ${{ outputs.o }}", outputs: {o: a.txt}}\n')
    words = [sys.executable, "-m", "mlbuild", "run", "pipelines/p.yaml"]
    assert mlbuild(*words[3:]).code == 0
    done = subprocess.run(
        ["sh", "-c", f"exec {shlex.join(words)} >{output}"],
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (code, told)


def test_verbs_for_one_stage_take_its_axes_in_any_order(pipeline: Write, mlbuild: Run) -> None:
    pipeline(
        "stages:\n  a:\n    matrix: {x: [1, 2], y: [3, 4]}\n"
        "    run: echo ${{ matrix.x }}${{ matrix.y }} | tee ${{ outputs.o }}\n"
        '    outputs: {o: "${{ matrix.x }}-${{ matrix.y }}"}\n'
    )
    done = mlbuild("run", "pipelines/p.yaml", "a[y=4]", "--json")
    assert done.outcomes == {"a[x=1,y=4]": "ran", "a[x=2,y=4]": "ran"}
    assert "14\n" in mlbuild("logs", "pipelines/p.yaml", "a[y=4,x=1]").out
    several = mlbuild("logs", "pipelines/p.yaml", "a[x=1]")
    assert several.code == 2
    assert several.err == (
        "stage 'a[x=1]' has several variants\n  allowed: a[x=1,y=3], a[x=1,y=4]\n"
    )


def test_an_interrupt_while_data_is_fetched_ends_at_once(
    project: Path, pipeline: Write, start: Callable[..., subprocess.Popen[str]]
) -> None:
    asked, done = threading.Event(), threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            done.wait(60)

        def log_message(self, format: str, *arguments: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/data.bin"
        pipeline(
            f"datasets: {{d: {{url: '{url}', md5: {'a' * 32}}}}}\nstages:\n"
            '  a: {run: "cp ${{ inputs.d }} ${{ outputs.o }}", inputs: {d: datasets.d},'
            " outputs: {o: a.bin}}\n"
        )
        process = start("run", "pipelines/p.yaml")
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        done.set()
        server.shutdown()
    assert process.returncode == 130
    assert err.strip() == "interrupted"
