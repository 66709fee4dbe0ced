"""After a build most stages stand: they are neither resolved nor decided again, and yet exact."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild import loaded, standing
from mlbuild.build import Pipeline, RunOptions
from mlbuild.plan import Planner
from mlbuild.records import Outcome
from tests.conftest import Done

Run = Callable[..., Done]
Write = Callable[[str], Path]

DIAMOND = """\
stages:
  left:
    run: cat ${{ inputs.i }}/* > ${{ outputs.o }}
    inputs: {i: ./left/}
    outputs: {o: out/left}
  right:
    run: cat ${{ inputs.i }} > ${{ outputs.o }}
    inputs: {i: ./right.txt}
    outputs: {o: out/right}
  upper:
    run: tr a-z A-Z < ${{ inputs.i }} > ${{ outputs.o }}
    inputs: {i: left.o}
    outputs: {o: out/upper}
  join:
    run: cat ${{ inputs.a }} ${{ inputs.b }} > ${{ outputs.o }}
    inputs: {a: upper.o, b: right.o}
    outputs: {o: out/join}
  alone:
    run: echo alone > ${{ outputs.o }}
    outputs: {o: out/alone}
"""


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that were decided, and not taken as they stand."""
    names: list[str] = []
    decide = Planner.decide

    def noted(self: Planner, name: str):  # type: ignore[no-untyped-def]
        names.append(name)
        return decide(self, name)

    monkeypatch.setattr(Planner, "decide", noted)
    return names


@pytest.fixture
def build(project: Path, pipeline: Write, decided: list[str]) -> Callable[..., dict[str, str]]:
    """Builds in this process; returns outcomes. `decided` tells what was looked at closely."""
    (project / "left").mkdir()
    (project / "left/a").write_text("a\n")
    (project / "left/b").write_text("b\n")
    (project / "right.txt").write_text("right\n")
    pipeline(DIAMOND)

    def go(**options) -> dict[str, str]:
        time.sleep(0.03)  # a file that changed within a tick of being read is not kept
        decided.clear()
        result = Pipeline.load("pipelines/p.yaml").run(RunOptions(**options))
        assert result.ok, result
        return {s.stage: str(s.outcome) for s in result.stages}

    go()
    return go


def ran(outcomes: dict[str, str]) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome != "reused"}


def test_where_nothing_changed_nothing_is_decided(build, decided) -> None:
    assert ran(build()) == set()
    assert decided == []


def test_only_what_changed_and_what_waits_for_it_is_decided(build, decided, project) -> None:
    (project / "right.txt").write_text("other\n")
    assert ran(build()) == {"right", "join"}
    assert set(decided) == {"right", "join"}
    assert (project / "out/join").read_text() == "A\nB\nother\n"


CHANGES = {
    "a file of a folder is edited": (lambda p: (p / "left/a").write_text("x\n"), "X\nB\nright\n"),
    "a file comes": (lambda p: (p / "left/c").write_text("c\n"), "A\nB\nC\nright\n"),
    "a file goes": (lambda p: (p / "left/a").unlink(), "B\nright\n"),
    "a file is renamed": (lambda p: (p / "left/a").rename(p / "left/z"), "B\nA\nright\n"),
    "a folder comes": (lambda p: (p / "left/sub").mkdir(), "A\nB\nright\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_an_input_folder_is_noticed(build, project, change) -> None:
    edit, expected = CHANGES[change]
    if change == "a folder comes":  # `cat` would refuse it; an empty one does not count
        edit(project)
        assert ran(build()) == set()
        return
    edit(project)
    assert {"left", "upper", "join"} == ran(build())
    assert (project / "out/join").read_text() == expected
    assert ran(build()) == set()


def test_a_touch_stops_at_the_stage_that_reads_the_file(build, decided, project) -> None:
    (project / "right.txt").write_text("right\n")
    assert ran(build()) == set()
    assert set(decided) == {"right", "join"}


def test_an_output_changed_by_hand_is_restored_and_kept(build, project) -> None:
    (project / "out/upper").write_text("mine\n")
    outcomes = build()
    assert outcomes["upper"] == "restored"
    assert (project / "out/upper").read_text() == "A\nB\n"
    kept = list((project / ".mlbuild/kept").rglob("*upper*"))
    assert any(p.is_file() and p.read_text() == "mine\n" for p in kept)


def test_an_output_that_went_is_restored(build, project) -> None:
    (project / "out/alone").unlink()
    assert ran(build()) == {"alone"}
    assert (project / "out/alone").read_text() == "alone\n"


def test_an_input_that_went_is_told_with_its_place(build, project, mlbuild) -> None:
    (project / "right.txt").unlink()
    done = mlbuild("run", "pipelines/p.yaml")
    assert done.code == 2
    assert (
        "pipelines/p.yaml:10:17: stage 'right': input 'i': there is nothing at 'right.txt'"
        in done.err
    )
    assert "right.txt" in done.err


def test_a_comment_leaves_everything_standing(build, decided, pipeline) -> None:
    pipeline("# said in passing\n" + DIAMOND)
    assert ran(build()) == set()
    assert decided == []


def test_a_changed_command_is_planned_with_all_others(build, decided, pipeline) -> None:
    pipeline(DIAMOND.replace("echo alone", "echo apart"))
    assert ran(build()) == {"alone"}
    assert set(decided) == {"left", "right", "upper", "join", "alone"}


def test_a_ledger_from_another_branch_is_looked_at_whole(build, decided, project) -> None:
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text() + "\n")
    assert ran(build()) == set()
    assert len(set(decided)) == 5


def test_a_stage_is_forced_though_it_stands(build) -> None:
    assert ran(build(force=["right"])) == {"right"}


def test_what_stands_survives_a_build_of_one_target(build, decided, project) -> None:
    (project / "right.txt").write_text("other\n")
    (project / "left/a").write_text("x\n")
    assert ran(build(targets=["right"])) == {"right"}
    outcomes = build()
    assert ran(outcomes) == {"left", "upper", "join"}
    assert set(decided) == {"left", "upper", "join"}
    assert (project / "out/join").read_text() == "X\nB\nother\n"


def test_what_a_planned_stage_reads_of_standing_ones_stays_watched(
    build, project, pipeline
) -> None:
    text = DIAMOND.replace(
        "run: cat ${{ inputs.i }}/* > ${{ outputs.o }}",
        "run: cat ${{ inputs.i }}/* > ${{ outputs.o }}; mkdir out/made; cp ./left/* out/made",
    ).replace("outputs: {o: out/left}", "outputs: {o: out/left, made: out/made}")
    text = text.replace("{a: upper.o, b: right.o}", "{a: upper.o, b: right.o, c: left.made}")
    pipeline(text)
    build()
    (project / "right.txt").write_text("other\n")
    assert ran(build()) == {"right", "join"}
    (project / "right.txt").write_text("right\n")
    assert ran(build()) == {"right", "join"}  # `join` is restored: nobody looked at out/made
    (project / "out/made/a").write_text("by hand\n")
    assert ran(build()) == {"left"}
    assert (project / "out/made/a").read_text() == "a\n"


def test_a_stage_that_failed_does_not_stand(project, pipeline, mlbuild, build) -> None:
    pipeline(DIAMOND.replace("echo alone", "exit 3; echo"))
    assert mlbuild("run", "pipelines/p.yaml").code == 1
    again = mlbuild("run", "pipelines/p.yaml", "--json")
    assert again.code == 1
    assert again.outcomes["alone"] == "failed"
    assert again.build["reused"] == 4


def test_a_gate_is_judged_in_every_run_and_moves_nothing_behind_it(
    project, pipeline, mlbuild, decided
) -> None:
    text = """\
stages:
  measure:
    run: echo '{"score":' 3 '}' > ${{ outputs.metrics }}; echo x > ${{ outputs.o }}
    outputs: {o: out/o}
    metrics: out/metrics.json
    gates: {score: {min: 2}}
  after:
    run: cp ${{ inputs.i }} ${{ outputs.o }}
    inputs: {i: measure.o}
    outputs: {o: out/after}
"""
    pipeline(text)
    time.sleep(0.03)
    first = Pipeline.load("pipelines/p.yaml").run()
    assert first.ok
    decided.clear()
    assert Pipeline.load("pipelines/p.yaml").run().ok
    assert decided == ["measure"]
    pipeline(text.replace("min: 2", "min: 4"))
    for _ in range(2):
        result = Pipeline.load("pipelines/p.yaml").run()
        assert result.exit_code == 5
        assert result.stages[0].outcome is Outcome.GATE_FAILED


def test_a_moved_checkout_stands(build, decided, project, monkeypatch) -> None:
    moved = project.with_name("elsewhere")
    project.rename(moved)
    monkeypatch.chdir(moved)
    assert ran(build()) == set()
    assert decided == []


@pytest.mark.parametrize("folder", ["standing", "resolved", "calls", "noop"])
@pytest.mark.parametrize("damage", [b"", b"00000000", b"garbage" * 9])
def test_damaged_knowledge_is_no_knowledge(build, project, folder, damage, mlbuild) -> None:
    assert mlbuild("run", "pipelines/p.yaml", "--json").code == 0
    files = [p for p in (project / ".mlbuild" / folder).rglob("*") if p.is_file()]
    assert files
    for file in files:
        file.write_bytes(damage)
    (project / "right.txt").write_text("other\n")
    done = mlbuild("run", "pipelines/p.yaml", "--json")
    assert done.code == 0, done.err
    assert done.build["ran"] == 2


def test_knowledge_that_came_with_the_files_is_not_believed(build, decided, project) -> None:
    copied = project.with_name("copied")
    shutil.copytree(project / ".mlbuild", copied)
    shutil.rmtree(project / ".mlbuild")
    copied.rename(project / ".mlbuild")
    assert ran(build()) == set()
    assert len(set(decided)) == 5


def test_another_version_s_knowledge_is_not_believed(build, decided, monkeypatch) -> None:
    monkeypatch.setattr(standing, "__version__", "99")
    monkeypatch.setattr(loaded, "__version__", "99")
    assert ran(build()) == set()
    assert len(set(decided)) == 5


def test_another_pipeline_of_the_project_does_not_disturb(build, decided, project) -> None:
    other = DIAMOND.replace("out/", "there/")
    (project / "pipelines/q.yaml").write_text(f"version: 1\nname: q\n{other}")
    assert Pipeline.load("pipelines/q.yaml").run().ok
    assert ran(build()) == set()


def test_the_same_call_after_a_change_is_understood_without_a_parser(
    project, pipeline, mlbuild
) -> None:
    (project / "i").write_text("1")
    pipeline(
        "stages: {a: {run: 'cp ${{ inputs.i }} ${{ outputs.o }}', inputs: {i: ./i}, "
        "outputs: {o: out/a}}}\n"
    )
    assert mlbuild("run", "pipelines/p.yaml", "-q").code == 0
    (project / "i").write_text("2")
    code = (
        "import sys; sys.argv = ['mlbuild', 'run', 'pipelines/p.yaml', '-q']\n"
        "from mlbuild.__main__ import main\n"
        "code = main()\n"
        "heavy = {'click', 'rich', 'yaml', 'pydantic', 'networkx', 'dvc', 'ruamel'}\n"
        "print(sorted(heavy & sys.modules.keys()), code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert "1 ran" in done.stdout, done.stderr
    assert done.stdout.endswith("[] 0\n")
