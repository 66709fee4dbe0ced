"""`mlbuild gc` from the command line: what it shows and deletes, and what still works after."""

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Done

Run = Callable[..., Done]
Write = Callable[[str], Path]
NOW = ("--grace-hours", "0")  # what a test makes is never older than a moment

BUILD = """\
params: {n: 1}
stages:
  folder:
    run: |
      mkdir -p ${{ outputs.o }}/x
      for i in 1 2 3; do echo ${{ params.n }} $i > ${{ outputs.o }}/x/$i; done
    outputs: {o: build/p/folder/d}
  join:
    run: |
      cat ${{ inputs.i }}/x/* > ${{ outputs.o }}
      echo '{"n": ${{ params.n }}}' > ${{ outputs.metrics }}
    inputs: {i: folder.o}
    outputs: {o: build/p/join/t.txt}
    metrics: build/p/join/metrics.json
"""


def git(*arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def dvc(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def objects(project: Path) -> int:
    return sum(p.is_file() for p in (project / ".dvc/cache/files/md5").rglob("*"))


def deleted(done: Done) -> bool:
    assert done.code == 0, done.out + done.err
    return bool(done.events[-1]["deleted"])


@pytest.fixture
def builds(project: Path, pipeline: Write, mlbuild: Run) -> Callable[[int], None]:
    """Writes a value into the pipeline file and builds it."""

    def build(value: int) -> None:
        pipeline(BUILD.replace("n: 1", f"n: {value}", 1))
        done = mlbuild("run", "pipelines/p.yaml", "-q")
        assert done.code == 0, done.out + done.err

    return build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs it leaves the history that all of them start from."""
    return tmp_path_factory.mktemp("history") / "project"


@pytest.fixture
def history(builds: Callable[[int], None], project: Path, built: Path) -> None:
    """Results 1 on `main`, 2 on `feature`, 3 in the release `p@v1.0.0`, 4 nowhere; on `main`."""
    if built.exists():
        for old in project.iterdir():
            shutil.rmtree(old)
        shutil.copytree(built, project, dirs_exist_ok=True, symlinks=True)
        return
    for value, branch in ((1, "main"), (2, "feature"), (3, "next")):
        git("checkout", "-q", "-b", branch)
        builds(value)
        git("add", "-A")
        git("commit", "-q", "-m", f"{value}")
    git("tag", "p@v1.0.0")
    git("checkout", "-q", "main")
    git("branch", "-q", "-D", "next")
    builds(4)
    builds(1)
    shutil.copytree(project, built, symlinks=True)


def test_after_gc_every_branch_and_release_is_restored_and_nothing_runs(
    history: None, project: Path, mlbuild: Run
) -> None:
    done = mlbuild("gc", "--past", *NOW, "--yes", "--json")
    assert deleted(done) and done.events[-1]["deleted_results"] == 2
    freed = {(e["pipeline"], e["stage"]) for e in done.events if e["event"] == "freed"}
    assert freed == {("pipelines/p.yaml", "folder"), ("pipelines/p.yaml", "join")}
    shutil.rmtree(project / ".mlbuild")
    for ref, value in (("feature", 2), ("p@v1.0.0", 3), ("main", 1)):
        git("checkout", "-q", ref)
        again = mlbuild("run", "pipelines/p.yaml", "--json")
        assert set(again.outcomes.values()) == {"restored"}, again.out
        text = (project / "build/p/join/t.txt").read_text()
        assert text == f"{value} 1\n{value} 2\n{value} 3\n"
    assert git("status", "--porcelain") == ""
    assert "up to date" in dvc("status")
    shutil.rmtree(project / "build/p/folder")
    dvc("checkout")
    assert (project / "build/p/folder/d/x/3").read_text() == "1 3\n"


def test_the_table_says_who_keeps_what_and_what_would_go(
    history: None, project: Path, mlbuild: Run
) -> None:
    before = objects(project)
    done = mlbuild("gc", "--past", *NOW)
    assert done.code == 0 and done.err == ""
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["cache", *str(project / ".dvc/cache").split()]
    assert lines[1][:2] == ["kept", "by"]
    holders = [" ".join(line[:2]) for line in lines[2:6]]
    assert holders == ["this checkout", "branch feature", "branch main", "release p@v1.0.0"]
    # For each value a file, a listing with three files; metrics are kept as well.
    assert lines[6][:6] == ["all", "together,", "shared", "ones", "counted", "once"]
    assert lines[6][6] == "18"
    assert ["pipelines/p.yaml", "folder", "1", "4"] in [line[:4] for line in lines]
    assert done.out.splitlines()[-1].startswith("would free ")
    assert done.out.endswith("; nothing was deleted: mlbuild gc --yes does it\n")
    assert objects(project) == before


def test_past_results_stay_by_default(history: None, project: Path, mlbuild: Run) -> None:
    done = mlbuild("gc", *NOW, "--yes")
    assert done.code == 0
    assert done.out.endswith("nothing to free\n")
    again = mlbuild("run", "pipelines/p.yaml", "--set", "n=4", "--json")
    assert set(again.outcomes.values()) == {"restored"}


def test_a_dry_run_deletes_nothing_even_with_yes(
    history: None, project: Path, mlbuild: Run
) -> None:
    assert not deleted(mlbuild("gc", "--past", *NOW, "--dry-run", "--yes", "--json"))


@pytest.mark.parametrize(("answer", "goes"), [("y\n", True), ("n\n", False)])
def test_on_a_terminal_it_asks(history: None, project: Path, answer: str, goes: bool) -> None:
    before, (ours, theirs) = objects(project), pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlbuild", "gc", "--past", *NOW],
        env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
        stdin=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.write(ours, answer.encode())
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert "delete it? [y/N]" in out
    assert (objects(project) < before) is goes


def test_builds_beside_gc_lose_nothing(
    history: None,
    project: Path,
    mlbuild: Run,
    start: Callable[..., "subprocess.Popen[str]"],
) -> None:
    for value in (5, 6, 7):
        text = (project / "pipelines/p.yaml").read_text()
        (project / "pipelines/p.yaml").write_text(text.replace("params: {n: 1}", "params: {n: 9}"))
        build = start("run", "pipelines/p.yaml", "--json", "--set", f"n={value}")
        collector = start("gc", "--past", "--yes", *NOW)
        out, err = build.communicate(timeout=60)
        assert build.returncode == 0, out + err
        out, err = collector.communicate(timeout=60)
        assert collector.returncode == 0, out + err
        again = mlbuild("run", "pipelines/p.yaml", "--json", "--set", f"n={value}")
        assert set(again.outcomes.values()) == {"reused"}


def test_results_of_a_stage_that_is_gone_go_with_outputs(
    history: None, project: Path, pipeline: Write, mlbuild: Run
) -> None:
    folder = BUILD[: BUILD.index("  join:")]
    pipeline(folder)
    assert mlbuild("run", "pipelines/p.yaml", "-q").code == 0
    shown = mlbuild("gc", "--json").events
    optional = [(e["kind"], e["path"], e["option"]) for e in shown if e["event"] == "optional"]
    assert optional == [("output", str(project / "build/p/join"), "--outputs")]
    assert deleted(mlbuild("gc", "--yes", "--outputs", "--json"))
    assert not (project / "build/p/join").exists() and (project / "build/p/folder").exists()


def test_a_broken_pipeline_keeps_every_output(history: None, project: Path, mlbuild: Run) -> None:
    (project / "pipelines/q.yaml").write_text("version: 1\nname: q\nstages: {a: {color: red}}\n")
    notes = mlbuild("gc", "--json").events[-1]["notes"]
    assert notes == ["not every pipeline can be read: old outputs in build/ stay"]


def test_a_cache_outside_the_project_needs_a_word(
    project: Path, builds: Callable[[int], None], mlbuild: Run, tmp_path: Path
) -> None:
    builds(1)
    (project / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path / 'shared'}\n")
    builds(2)
    done = mlbuild("gc")
    assert done.code == 2 and done.out == ""
    assert done.err == (
        f"the cache {tmp_path / 'shared'} lies outside {project}: other projects may keep results "
        "in it\n  hint: name them all: mlbuild gc --projects ../other; if there is none: "
        "mlbuild gc --shared\n"
    )
    assert mlbuild("gc", "--shared").code == 0


def test_what_dvc_gc_left_promised_is_cleared_away(
    history: None, project: Path, mlbuild: Run
) -> None:
    dvc("gc", "-w", "-f")
    done = mlbuild("gc", *NOW, "--yes", "--json")
    assert deleted(done) and done.events[-1]["deleted_results"] == 6
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert set(again.outcomes.values()) == {"reused"}
    changed = mlbuild("run", "pipelines/p.yaml", "--set", "n=4", "--json")
    assert set(changed.outcomes.values()) == {"ran"}


def test_a_bare_repository_has_nothing_to_collect(
    project: Path, mlbuild: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("init", "-q", "--bare", os.fspath(tmp_path / "bare.git"))
    monkeypatch.chdir(tmp_path / "bare.git")
    done = mlbuild("gc", "--yes")
    assert (done.code, done.err) == (
        2,
        f"there is nothing of mlbuild's or DVC's in {tmp_path / 'bare.git'}\n"
        "  hint: call it in a project that `mlbuild run` has built\n",
    )


def test_without_a_ledger_the_own_cache_is_collected(
    project: Path, pipeline: Write, mlbuild: Run
) -> None:
    for value in (1, 2):
        pipeline("ledger: none\n" + BUILD.replace("n: 1", f"n: {value}", 1))
        assert mlbuild("run", "pipelines/p.yaml", "-q").code == 0
    done = mlbuild("gc", "--past", *NOW, "--yes", "--json")
    assert deleted(done)
    assert {json.loads(line)["event"] for line in done.out.splitlines()} >= {"kept", "freed"}
    shutil.rmtree(project / "build")
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert set(again.outcomes.values()) == {"restored"}
