"""`mlbuild status` without a pipeline: a line for each, whatever is wrong with one of them."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.report.overview import LastBuild, last_build
from tests.conftest import ROOT, Done

Run = Callable[..., Done]
Start = Callable[..., "subprocess.Popen[str]"]

GOOD = """\
version: 1
name: good
stages:
  a: {run: "echo 1 > ${{ outputs.o }}", outputs: {o: build/good/a.txt}}
  b: {run: "cat ${{ inputs.a }} > ${{ outputs.o }}", inputs: {a: a.o}, outputs: {o: build/good/b}}
"""
BAD = """\
version: 1
name: bad
stages:
  a: {run: "true", colour: red, size: 3, outputs: {o: build/bad/a}}
"""
GATE = """\
version: 1
name: gate
stages:
  check:
    run: |
      echo x > ${{ outputs.o }}
      echo '{"accuracy": 0.5}' > ${{ outputs.metrics }}
    outputs: {o: build/gate/x}
    metrics: build/gate/metrics.json
    gates: {accuracy: {min: 0.9}}
"""
SLOW = """\
version: 1
name: slow
stages:
  a: {run: "touch started; sleep 60 > ${{ outputs.o }}", outputs: {o: build/slow/a}}
"""


@pytest.fixture
def write(project: Path) -> Callable[[str, str], None]:
    def go(name: str, text: str) -> None:
        (project / "pipelines" / f"{name}.yaml").write_text(text)

    return go


def line_of(done: Done, name: str) -> str:
    (found,) = [line for line in done.out.splitlines() if f"{name}.yaml " in line]
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", re.sub(r" {2,}", "  ", found))


def test_each_pipeline_is_one_line(write: Callable[..., None], mlbuild: Run) -> None:
    write("good", GOOD)
    write("other", GOOD.replace("good", "other").replace("echo 1", "echo 2"))
    assert mlbuild("run", "pipelines/good.yaml", "b", "-q").code == 0
    done = mlbuild("status")
    assert done.code == 0 and done.err == ""
    assert line_of(done, "good") == "  pipelines/good.yaml  2 up to date  ok TIME  not committed"
    assert line_of(done, "other") == "  pipelines/other.yaml  1 to run, 1 pending  never built here"
    assert done.out.splitlines()[2:] == ["not committed to git: dvc.lock, dvc.yaml"]


def test_a_broken_pipeline_is_told_and_the_others_go_on(
    write: Callable[..., None], mlbuild: Run
) -> None:
    write("bad", BAD)
    write("good", GOOD)
    done = mlbuild("status")
    assert done.code == 2
    assert line_of(done, "bad") == (
        "  pipelines/bad.yaml  broken: pipelines/bad.yaml:4:20: stage 'a': unknown key 'colour' "
        "(and 1 more: mlbuild status pipelines/bad.yaml)"
    )
    assert line_of(done, "good").startswith("  pipelines/good.yaml  1 to run, 1 pending")


def test_a_gate_that_does_not_hold_is_named(write: Callable[..., None], mlbuild: Run) -> None:
    write("gate", GATE)
    assert mlbuild("run", "pipelines/gate.yaml", "-q").code == 5
    done = mlbuild("status")
    assert done.code == 0
    assert "  exit 5 TIME  gates that do not hold: check; not committed" in line_of(done, "gate")
    (status,) = [e for e in mlbuild("status", "--json").events if e["event"] == "status"]
    assert [(g["stage"], g["metric"], g["value"]) for g in status["gates"]] == [
        ("check", "accuracy", 0.5)
    ]


def test_who_builds_it_now_is_told(
    write: Callable[..., None], mlbuild: Run, start: Start, project: Path
) -> None:
    write("slow", SLOW)
    build = start("run", "pipelines/slow.yaml")
    while not (project / "started").exists():
        assert build.poll() is None
    done = mlbuild("status")
    (status,) = [e for e in mlbuild("status", "--json").events if e["event"] == "status"]
    build.kill()
    build.communicate(timeout=60)
    held = f"being built: held by pid {build.pid} since "
    assert held in line_of(done, "slow")
    assert status["holder"].startswith(held.removeprefix("being built: "))
    assert "cut off TIME" in line_of(mlbuild("status"), "slow")


def test_json_has_the_stages_of_all_and_one_object_for_each(
    write: Callable[..., None], mlbuild: Run
) -> None:
    write("bad", BAD)
    write("good", GOOD)
    assert mlbuild("run", "pipelines/good.yaml", "-q").code == 0
    done = mlbuild("status", "--json")
    assert done.code == 2
    bad, *stages, good = done.events
    assert (bad["event"], bad["pipeline"], bad["file"]) == ("status", None, "pipelines/bad.yaml")
    assert bad["error"].startswith("pipelines/bad.yaml:4:20: stage 'a': unknown key 'colour'\n")
    assert [(e["event"], e["stage"], e["pipeline"], e["decision"]) for e in stages] == [
        ("stage", "a", "good", "reuse"),
        ("stage", "b", "good", "reuse"),
    ]
    assert (good["reuse"], good["run"], good["holder"], good["uncommitted"]) == (2, 0, None, True)
    assert good["last_build"]["exit_code"] == 0 and good["last_build"]["counts"] == "2 ran"
    alone = mlbuild("status", "pipelines/good.yaml", "--json").events[0]
    assert {**alone, "pipeline": "good"} == stages[0]


def test_several_files_may_be_named_and_targets_need_one(
    write: Callable[..., None], mlbuild: Run
) -> None:
    for name in ("good", "other", "third"):
        write(name, GOOD.replace("good", name))
    done = mlbuild("status", "pipelines/good.yaml", "pipelines/third.yaml")
    assert [line.split()[0] for line in done.out.splitlines()] == [
        "pipelines/good.yaml",
        "pipelines/third.yaml",
    ]
    done = mlbuild("status", "pipelines/good.yaml", "a", "pipelines/third.yaml")
    assert (done.code, done.err) == (
        2,
        "targets need one PIPELINE\n  hint: name either files or stages of one\n",
    )
    done = mlbuild("status", "--set", "x=1")
    assert (done.code, done.err) == (2, "--set, --profile and --remote need one PIPELINE\n")


def test_a_file_that_is_named_and_missing_is_an_error(
    write: Callable[..., None], mlbuild: Run
) -> None:
    write("good", GOOD)
    done = mlbuild("status", "pipelines/good.yaml", "pipelines/none.yaml")
    assert done.code == 2
    assert "broken: " in line_of(done, "none") and "good.yaml  1 to run" in line_of(done, "good")


def test_pipelines_elsewhere_and_gone_are_known_from_the_ledger(
    project: Path, write: Callable[..., None], mlbuild: Run
) -> None:
    (project / "root.yaml").write_text(GOOD.replace("good", "root"))
    write("good", GOOD)
    for file in ("root.yaml", "pipelines/good.yaml"):
        assert mlbuild("run", file, "-q").code == 0
    (project / "pipelines/good.yaml").unlink()
    done = mlbuild("status")
    assert done.code == 0
    assert "  root.yaml  2 up to date" in line_of(done, "root")
    assert line_of(done, "good") == (
        "  pipelines/good.yaml  the file is gone; dvc.lock has 2 stages of it"
    )


def test_paths_are_those_that_the_caller_would_type(
    project: Path, write: Callable[..., None], mlbuild: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("good", GOOD)
    monkeypatch.chdir(project / "pipelines")
    assert line_of(mlbuild("status"), "good").startswith("  good.yaml  1 to run")


def test_a_project_without_pipelines_is_told_what_to_do(project: Path, mlbuild: Run) -> None:
    done = mlbuild("status")
    assert (done.code, done.out) == (
        0,
        "there is no pipeline here: mlbuild init makes one in pipelines/\n",
    )


def test_the_overview_does_not_import_dvc(
    project: Path, write: Callable[..., None], mlbuild: Run
) -> None:
    write("good", GOOD)
    assert mlbuild("run", "pipelines/good.yaml", "-q").code == 0
    code = (
        "import sys; sys.argv = ['mlbuild', 'status']\n"
        "from mlbuild.cli.main import main\nmain(['status'])\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('dvc', 'dvc_data')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT), "CI": "true", "PATH": "/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


LOG = """\
2026-11-22 10:00:00,001 1 p: 2 stages, 2 to do: ['run', 'p.yaml']
2026-11-22 10:00:01,001 1 a: ran 0.1 s [first_run]\x20
2026-11-22 10:00:02,001 1 p: exit 0 after 2.000 s: 2 ran
2026-11-22 11:00:00,001 2 p: 2 stages, 1 to do: ['run', 'p.yaml']
2026-11-22 11:00:00,001 3 q: exit 1 after 0.500 s: 1 failed
"""


@pytest.mark.parametrize(
    ("pipeline", "building", "expected"),
    [
        ("p", True, LastBuild("2026-11-22 10:00:02", 0, 2.0, "2 ran")),
        ("p", False, LastBuild("2026-11-22 11:00:00", None)),
        ("q", False, LastBuild("2026-11-22 10:00:00"[:11] + "11:00:00", 1, 0.5, "1 failed")),
        ("r", False, None),
    ],
)
def test_the_last_build_is_read_from_the_log(
    tmp_path: Path, pipeline: str, building: bool, expected: LastBuild | None
) -> None:
    log = tmp_path / "mlbuild.log"
    assert last_build(log, pipeline, building) is None
    log.with_name("mlbuild.log.1").write_text(LOG)
    log.write_text("")
    assert last_build(log, pipeline, building) == expected
