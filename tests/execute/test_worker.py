"""The job API, through `run_job` in this process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlbuild.execute import worker
from mlbuild.execute.inside.metrics import share

WRITE = "job.outputs['model'].write_text('m')"


@pytest.fixture
def do(work: Any) -> Any:
    """Runs the body of a `run(job)`; the events."""

    def run(body: str, **job: Any) -> list[dict[str, Any]]:
        work.kind("def run(job):\n" + "".join(f"    {line}\n" for line in body.split("\n")))
        events: list[dict[str, Any]] = []
        ok = worker.run_job(work.job(**job), events.append)
        assert ok == (events[-1]["event"] == "done")
        return events

    return run


def metrics(work: Any) -> str:
    return (work.scratch / "thing" / "metrics.json").read_text()


def test_a_job_shows_its_params_inputs_and_outputs(work: Any, do: Any, tmp_path: Path) -> None:
    body = (
        "p = job.params\n"
        "assert (p.bits, p.layers['a'], p.names) == (4, {'b': 1}, ['x'])\n"
        "assert job.inputs['model'].name == 'm'\n"
        "assert [i.name for i in job.inputs['reports']] == ['r1', 'r2']\n"
        "assert job.inputs.get('absent') is None\n"
        "assert job.axes['reports'] == [{'bits': 4}, {'bits': 6}]\n"
        "assert job.threads == 3 and job.scratch.is_dir()\n"
        "assert job.trust('model') and not job.trust('reports')\n"
        "assert job.outputs['model'].parent.is_dir() and not job.outputs['model'].exists()\n"
    )
    events = do(
        body + WRITE,
        params={"bits": 4, "layers": {"a": {"b": 1}}, "names": ["x"]},
        inputs={"model": str(tmp_path / "m"), "reports": ["/r1", "/r2"]},
        axes={"reports": [{"bits": 4}, {"bits": 6}]},
        threads=3,
        trust=["model"],
    )
    assert events == [{"event": "done"}]


def test_a_kind_imports_its_siblings_and_shared_topics(work: Any, do: Any) -> None:
    work.kind("NAME = 'sibling'", file="near.py")
    work.kind("from .deep import NAME", "_shared/topic", "far.py")
    work.kind("NAME = 'shared'", "_shared/topic", "deep.py")
    events = do(
        "from . import near\n"
        "from ..._shared.topic import far\n"
        "job.outputs['model'].write_text(near.NAME + far.NAME)"
    )
    assert events == [{"event": "done"}]
    assert (work.scratch / "thing" / "model.txt").read_text() == "siblingshared"


def test_a_changed_kind_is_loaded_anew(work: Any, do: Any) -> None:
    do("job.outputs['model'].write_text('one')")
    do("job.outputs['model'].write_text('two')")
    assert (work.scratch / "thing" / "model.txt").read_text() == "two"


def test_metrics_are_written_canonically(work: Any, do: Any) -> None:
    do(f"job.metric('b', 1)\njob.metric('a', 0.5)\n{WRITE}")
    assert metrics(work) == '{\n  "a": 0.5,\n  "b": 1\n}\n'


def test_no_metric_is_an_empty_object(work: Any, do: Any) -> None:
    do(WRITE)
    assert metrics(work) == "{}\n"


def test_scalars_of_numeric_libraries_become_plain_numbers(work: Any, do: Any) -> None:
    do(f"class Scalar:\n    def item(self): return 0.25\njob.metric('a', Scalar())\n{WRITE}")
    assert json.loads(metrics(work)) == {"a": 0.25}


def test_a_share_is_recorded_with_its_interval(work: Any, do: Any) -> None:
    do(f"job.metric('accuracy', 0.9, n=100)\n{WRITE}")
    told = json.loads(metrics(work))["accuracy"]
    assert {k: round(v, 4) for k, v in told.items()} == {
        "value": 0.9,
        "n": 100,
        "low": 0.8256,  # Wilson interval, as published tables give it
        "high": 0.9448,
    }


def test_a_number_is_recorded_with_the_interval_that_its_stage_worked_out(
    work: Any, do: Any
) -> None:
    do(
        f"job.metric('drop', -0.01, n=200, interval=(-0.03, 0.01))\n"
        f"job.metric('rise', 2, interval=(2, 2))\n{WRITE}"
    )
    assert json.loads(metrics(work)) == {
        "drop": {"value": -0.01, "low": -0.03, "high": 0.01, "n": 200},
        "rise": {"value": 2, "low": 2, "high": 2},
    }


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_the_share_and_stays_between_0_and_1(case: tuple[int, int]) -> None:
    hits, n = case
    told = share("a", hits / n, n)
    assert 0 <= told["low"] <= told["value"] <= told["high"] <= 1
    assert told["low"] < told["high"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("metric('a', float('nan'))", "ValueError: metric 'a' must be finite, got nan"),
        ("metric('a', float('inf'))", "ValueError: metric 'a' must be finite, got inf"),
        ("metric('a', 'x')", "ValueError: metric 'a' must be a number, got 'x' (str)"),
        ("metric('', 1)", "ValueError: a metric needs a name, got ''"),
        (
            "metric('a', 1.5, n=3)",
            "ValueError: metric 'a' is a share: it must lie between 0 and 1, got 1.5",
        ),
        ("metric('a', 1, n=0)", "ValueError: metric 'a' needs a count n of at least 1, got 0"),
        (
            "metric('a', 2, interval=(0, 1))",
            "ValueError: metric 'a': 2 does not lie in its interval, 0 to 1",
        ),
        (
            "metric('a', 2, n=0, interval=(2, 2))",
            "ValueError: metric 'a' needs a count n of at least 1, got 0",
        ),
        ("plot('p', [1])", "ValueError: plot 'p': each row must be a dict, got 1"),
        (
            "plot('p', [{'a': 1}], x='b')",
            "ValueError: plot 'p': a row has no column 'b': {'a': 1}",
        ),
        (
            "plot('a/b', [])",
            "ValueError: 'a/b' cannot name a plot: use letters, digits, '.', '_', '-'",
        ),
        ("plot('p', [{'a': float('nan')}])", "ValueError: metric 'p' must be finite, got nan"),
    ],
)
def test_a_wrong_report_is_an_error(do: Any, call: str, message: str) -> None:
    event = do(f"job.{call}\n{WRITE}")[-1]
    assert (event["kind"], event["message"]) == ("exception", message)


def test_a_plot_is_a_list_of_rows_with_x_first_and_y_last(work: Any, do: Any) -> None:
    do(f"job.plot('loss', [{{'y': 1, 'z': 'a', 'x': 2}}], x='x', y='y', title='T')\n{WRITE}")
    plots = work.scratch / "thing" / "plots"
    assert json.loads((plots / "loss.json").read_text()) == [{"x": 2, "z": "a", "y": 1}]
    assert list(json.loads((plots / "loss.json").read_text())[0]) == ["x", "z", "y"]
    assert json.loads((plots / "options.json").read_text()) == [
        {"plot": "loss", "title": "T", "x": "x", "y": "y"}
    ]


def test_a_plot_of_a_kind_without_plots_is_an_error(do: Any) -> None:
    event = do(f"job.plot('p', [])\n{WRITE}", plots=None)[-1]
    assert event["message"] == "ValueError: plot 'p': the kind's spec does not say plots=True"


def test_progress_and_log_are_events(do: Any, capsys: pytest.CaptureFixture[str]) -> None:
    events = do(f"job.progress(1, 2, 'half')\njob.log('hello')\njob.progress(2, 2)\n{WRITE}")
    assert events == [
        {"event": "progress", "done": 1, "total": 2, "text": "half"},
        {"event": "log", "text": "hello"},
        {"event": "progress", "done": 2, "total": 2, "text": ""},
        {"event": "done"},
    ]
    assert capsys.readouterr().out == "hello\n"


def test_a_flood_of_progress_is_thinned_out(do: Any) -> None:
    events = do(f"for n in range(1, 10001): job.progress(n, 10000)\n{WRITE}")
    told = [e["done"] for e in events if e["event"] == "progress"]
    assert told[0] == 1
    assert told[-1] == 10000
    assert len(told) < 1000


def test_a_stage_that_says_what_is_wrong_fails_without_a_traceback(do: Any) -> None:
    assert do("job.fail('no photographs', hint='look at data/')") == [
        {
            "event": "error",
            "kind": "failure",
            "message": "no photographs",
            "hint": "look at data/",
            "traceback": None,
        }
    ]


def test_an_exception_shows_the_stages_own_frames_only(work: Any, do: Any) -> None:
    work.kind("def half(n):\n    return n / 0\n", file="near.py")
    event = do(
        "from . import near\ntry:\n    near.half(1)\nexcept ZeroDivisionError as e:\n"
        "    raise ValueError('bad') from e"
    )[-1]
    lines = [line for line in event["traceback"].split("\n") if line.startswith("  File")]
    assert [line.split("/")[-1].split('"')[0] for line in lines] == ["run.py", "near.py", "run.py"]
    assert event["message"] == "ValueError: bad"
    assert "ZeroDivisionError" in event["traceback"]


def test_a_wrong_metric_points_at_the_stages_line_only(do: Any) -> None:
    event = do("job.metric('a', float('nan'))")[-1]
    assert event["traceback"].count("  File") == 1


def test_a_syntax_error_is_told_with_its_place(work: Any) -> None:
    work.kind("def run(job:\n    pass\n")
    events: list[dict[str, Any]] = []
    assert not worker.run_job(work.job(), events.append)
    assert events[-1]["message"].startswith("SyntaxError: ")
    assert 'run.py", line 1' in events[-1]["traceback"]
    assert not events[-1]["traceback"].startswith("Traceback")


def test_sys_exit_is_a_failure_even_with_code_0(do: Any) -> None:
    assert do(f"{WRITE}\nimport sys; sys.exit(0)")[-1]["message"] == "the stage called sys.exit(0)"


def test_running_out_of_memory_is_told_with_a_hint(do: Any) -> None:
    event = do("raise MemoryError()")[-1]
    assert event["message"] == "MemoryError"
    assert event["hint"].startswith("it ran out of memory")


def test_a_full_disk_is_told_with_a_hint(do: Any) -> None:
    event = do("raise OSError(28, 'No space left on device')")[-1]
    assert event["message"] == "OSError: [Errno 28] No space left on device"
    assert event["hint"] == ("the disk is full: `mlbuild gc` frees what no pipeline needs any more")


def test_an_output_that_was_not_written_is_a_failure(do: Any) -> None:
    event = do("pass")[-1]
    assert event["message"] == "output 'model' was not written"
    assert event["hint"] == "run(job) must write job.outputs['model']"


def test_a_kind_without_run_is_a_failure(work: Any) -> None:
    work.kind("x = 1")
    events: list[dict[str, Any]] = []
    worker.run_job(work.job(), events.append)
    path = work.stages / "train" / "thing" / "run.py"
    assert events[-1]["message"] == f"{path} defines no function run(job)"


def test_a_kind_without_a_file_is_a_failure(work: Any) -> None:
    events: list[dict[str, Any]] = []
    worker.run_job(work.job(run="run_torch.py"), events.append)
    path = work.stages / "train" / "thing" / "run_torch.py"
    assert events[-1]["message"] == f"{path} does not exist"


def test_a_job_of_another_version_is_refused(do: Any) -> None:
    event = do(WRITE, version=2)[-1]
    assert event["message"] == "the job has version 2, this worker knows version 1"
    assert event["hint"] == "the job was written by another release of mlbuild: run the build again"


class TestByHand:
    def run(self, work: Any, python: Path, job: Any) -> subprocess.CompletedProcess[str]:
        file = work.root / "job.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        argv = [str(python), "-S", worker.__file__, str(file)]  # this Python may have mlbuild
        env = {"PYTHONUTF8": "1"}
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=env)

    def test_it_prints_what_it_does(self, work: Any, python: Path) -> None:
        work.kind(
            f"import queue\nassert queue.Queue\ndef run(job):\n    job.log('ü')\n    {WRITE}\n"
        )
        done = self.run(work, python, work.job())
        assert (done.returncode, done.stdout, done.stderr) == (0, 'ü\n{"event": "done"}\n', "")

    def test_it_shows_the_stages_traceback(self, work: Any, python: Path) -> None:
        work.kind("def run(job):\n    raise KeyError('lost')\n")
        done = self.run(work, python, work.job())
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback (most recent call last):\n")
        assert done.stderr.endswith("KeyError: 'lost'\n")
        assert "worker.py" not in done.stderr
        assert "inside" not in done.stderr

    def test_the_reference_runtime_is_there_for_kinds_that_ask(
        self, work: Any, python: Path, tmp_path: Path
    ) -> None:
        runtime = tmp_path / "coreml"
        runtime.mkdir()
        (runtime / "__init__.py").write_text("from mlbuild.coreml import parts\nX = parts.X\n")
        (runtime / "parts.py").write_text("X = 5\n")
        work.kind(
            "def run(job):\n"
            "    import mlbuild.coreml\n"
            "    assert mlbuild.coreml.X == 5\n"
            "    try:\n"
            "        import mlbuild.records\n"
            "    except ImportError:\n"
            f"        {WRITE}\n"
        )
        assert self.run(work, python, work.job(coreml=str(runtime))).returncode == 0
        alone = self.run(work, python, work.job())
        assert alone.returncode == 1
        assert "No module named 'mlbuild'" in alone.stderr

    def test_a_wrong_command_line_says_how(self, python: Path) -> None:
        argv = [str(python), worker.__file__]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, "usage: python worker.py JOB.json\n")


def test_the_worker_imports_nothing_beside_the_standard_library() -> None:
    code = (
        "import sys, runpy; sys.argv = ['worker.py', 'absent.json']\n"
        f"try: runpy.run_path({worker.__file__!r}, run_name='worker')\n"
        "finally: print(sorted({m.partition('.')[0] for m in sys.modules}"
        " - set(sys.stdlib_module_names) - {'_mlbuild_inside'}))\n"
    )
    argv = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout == "['__main__']\n"
