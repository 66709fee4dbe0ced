"""`mlbuild push` and `mlbuild pull`: what goes, what stays, what is told."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.team import (
    CACHE,
    FILE,
    PIPELINE,
    Team,
    broken_promises,
    config,
    dvc,
    entries,
    folder_remote,
    object_of,
    result_of,
    spoil,
)

Write = Callable[[str], Path]


@pytest.fixture
def team(project: Path, pipeline: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", os.fspath(tmp_path / "dvc-config"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", os.fspath(tmp_path / "dvc-site"))
    config(project, folder_remote(tmp_path / "remote"))
    pipeline(PIPELINE)
    (project / "train.txt").write_text("code\n")
    return Team(project, tmp_path, monkeypatch)


# --- push ---------------------------------------------------------------------------------------


def test_only_what_the_remote_lacks_is_sent(team: Team) -> None:
    team.build(3)
    first = team.push(FILE)
    assert (first["objects"], first["present"], first["entries"]) == (5, 0, 2)
    assert first["bytes"] == sum(p.stat().st_size for p in team.remote.glob("files/md5/??/*"))
    team.build(5)
    second = team.push()
    assert (second["objects"], second["present"], second["entries"]) == (4, 5, 2)
    assert second["remote"] == "r"
    third = team.push()
    assert (third["objects"], third["present"], third["entries"]) == (0, 9, 0)


def test_a_push_tells_people_what_it_did(team: Team) -> None:
    team.build(3)
    assert team.mlbuild("push").out.endswith(
        "p: sent 5 objects (179 bytes) and 2 results to 'r'; 0 objects were there\n"
    )


def test_current_leaves_past_results_out(team: Team) -> None:
    team.build(3)
    team.build(5)
    assert team.push("--current")["entries"] == 2
    team.clone()
    assert result_of(team.build(3)) == (2, 0)


def test_all_past_takes_results_of_pipelines_that_are_gone(team: Team) -> None:
    team.build(3)
    os.rename(FILE, "pipelines/q.yaml")
    Path("pipelines/q.yaml").write_text(
        Path("pipelines/q.yaml").read_text().replace("p\n", "q\n", 1)
    )
    done = team.mlbuild("run", "pipelines/q.yaml", "--set", "epochs=5", "--json")
    assert done.code == 0, done.out
    assert team.push("pipelines/q.yaml")["entries"] == 2
    assert team.push("pipelines/q.yaml", "--all-past")["entries"] == 2


def test_current_and_all_past_contradict_each_other(team: Team) -> None:
    done = team.mlbuild("push", "--current", "--all-past")
    assert (done.code, done.err) == (
        2,
        "--current and --all-past contradict each other\n  hint: give one of them\n",
    )


def test_results_that_were_taken_apart_are_not_promised(team: Team) -> None:
    team.build(3)
    team.build(5)
    object_of(CACHE, b"trained 3\n").unlink()  # as `dvc gc -w` does, which leaves the entry
    assert team.push()["entries"] == 3
    assert broken_promises(team.remote) == set()


def test_an_output_that_stays_here_is_not_pushed_and_not_promised(team: Team) -> None:
    text = Path(FILE).read_text()
    Path(FILE).write_text(
        text.replace("{model: out/model,", "{model: {path: out/model, push: false},")
    )
    team.build(3)
    pushed = team.push()
    assert (pushed["objects"], pushed["entries"], pushed["missing"]) == (2, 1, [])
    assert not list(team.remote.glob("files/md5/??/*.dir"))
    assert broken_promises(team.remote) == set()


def test_metrics_that_git_keeps_go_along(team: Team) -> None:
    team.build(3)
    scores = object_of(CACHE, b'{"accuracy": 0.3}\n')
    scores.unlink()  # a clone has them from git alone
    team.push()
    assert object_of(team.remote, b'{"accuracy": 0.3}\n').exists()


def test_what_is_neither_here_nor_there_is_named_and_the_rest_goes(team: Team) -> None:
    team.build(3)
    shutil.rmtree("out")
    object_of(CACHE, b"TRAINED 3\n").unlink()
    done = team.mlbuild("push")
    assert done.code == 4
    assert done.out.endswith(
        "p: sent 4 objects (169 bytes) and 1 result to 'r'; 0 objects were there\n"
        "  convert.package (out/package): neither here nor there; `mlbuild run` makes it again\n"
    )


def test_a_clone_that_fetched_nothing_may_push(team: Team) -> None:
    team.build(3)
    team.push()
    team.clone()
    assert team.push()["missing"] == []


def test_verify_finds_and_replaces_what_rots_there(team: Team) -> None:
    team.build(3)
    team.push()
    spoil(object_of(team.remote, b"TRAINED 3\n"), b"trained 4\n")
    assert team.push()["objects"] == 0
    done = team.mlbuild("push", "--verify")
    assert done.out.endswith(
        "p: sent 1 object (10 bytes) and 0 results to 'r'; 4 objects were there; "
        "1 corrupt one replaced\n"
    )
    assert object_of(team.remote, b"TRAINED 3\n").exists()


def test_another_remote_is_named(team: Team) -> None:
    other = team.folder / "other"
    config(team.owner, folder_remote(team.remote) + f"['remote \"other\"']\n    url = {other}\n")
    team.build(3)
    assert team.push("--remote", "other")["remote"] == "other"
    assert len(entries(other)) == 2
    assert not team.remote.exists()


def test_an_unknown_remote_is_an_error(team: Team) -> None:
    team.build(3)
    done = team.mlbuild("push", "--remote", "nowhere")
    assert done.code == 4
    assert done.err == (
        "the DVC remote 'nowhere' cannot be used: config file error: "
        "remote 'nowhere' doesn't exist\n"
        "  hint: check `dvc remote list` and its credentials, or build without it: --offline\n"
    )


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_without_a_remote_there_is_nowhere_to_share(team: Team, verb: str) -> None:
    team.build(3)
    config(team.owner, "")
    done = team.mlbuild(verb)
    assert (done.code, done.err) == (
        4,
        "there is no DVC remote to share results through\n"
        "  hint: name one: dvc remote add -d storage s3://bucket/path (or a folder)\n",
    )


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_pipeline_without_a_ledger_shares_nothing(team: Team, verb: str) -> None:
    Path(FILE).write_text(Path(FILE).read_text() + "ledger: none\n")
    team.build(3)
    done = team.mlbuild(verb, FILE)
    assert (done.code, done.err) == (
        4,
        "pipeline 'p' has no ledger: its results stay on this machine\n"
        "  hint: take `ledger: none` out of its file to share them\n",
    )


def test_without_pipelines_there_is_nothing_to_push(team: Team) -> None:
    Path(FILE).unlink()
    done = team.mlbuild("push")
    assert done.code == 2
    assert done.err == (
        f"there is no pipeline in {team.owner / 'pipelines'}\n  hint: name one: FILE.yaml\n"
    )


def test_datasets_go_along_whoever_added_them(team: Team) -> None:
    _two_datasets(team)
    team.build(3)
    team.push()
    root = team.clone()
    pulled = team.mlbuild("pull", "--json").build
    assert sorted(pulled["datasets"]) == ["data/one.txt", "data/two"]
    assert (root / "data/one.txt").read_text() == "one\n"
    assert (root / "data/two/deep/b").read_text() == "b\n"


def _two_datasets(team: Team) -> None:
    (team.owner / "data/two/deep").mkdir(parents=True)
    (team.owner / "data/one.txt").write_text("one\n")
    (team.owner / "data/two/deep/b").write_text("b\n")
    head = "datasets: {one: {path: data/one.txt}, two: {path: data/two}}\n"
    stage = (
        "  both:\n    run: cat ${{ inputs.a }} ${{ inputs.b }}/deep/b > ${{ outputs.o }}\n"
        "    inputs: {a: datasets.one, b: datasets.two}\n    outputs: {o: out/both}\n"
    )
    (team.owner / FILE).write_text(f"version: 1\nname: p\n{head}{PIPELINE}{stage}")


@pytest.mark.slow
def test_data_that_only_dvc_can_name_is_left_to_it(team: Team) -> None:
    """A `.dvc` file of DVC 2, whose objects lie elsewhere on the remote."""
    _two_datasets(team)
    team.build(3)
    file = team.owner / "data/one.txt.dvc"
    file.write_text(file.read_text().replace("  hash: md5\n", ""))
    old = object_of(CACHE, b"one\n")
    target = CACHE / old.parent.name / old.name
    target.parent.mkdir(parents=True)
    old.rename(target)
    team.push()
    assert (team.remote / old.parent.name / old.name).read_bytes() == b"one\n"
    team.clone()
    assert "data/one.txt" in team.mlbuild("pull", "--json").build["datasets"]


# --- pull ---------------------------------------------------------------------------------------


@pytest.fixture
def mate(team: Team) -> Path:
    """A fresh clone of what was built with epochs=3 and pushed."""
    Path(FILE).write_text(Path(FILE).read_text().replace("epochs: 1", "epochs: 3"))
    team.build(3)
    team.push()
    return team.clone()


@pytest.mark.slow
def test_a_pull_brings_everything_into_place_and_runs_nothing(team: Team, mate: Path) -> None:
    done = team.mlbuild("pull")
    assert done.out.endswith(
        "p: fetched 4 objects (161 bytes) from 'r'; 2 stages and 0 datasets put into place\n"
    )
    assert (mate / "out/package").read_text() == "TRAINED 3\n"
    assert "up to date" in dvc("status")
    run = team.mlbuild("run", FILE, "--offline", "--json")
    assert run.build["reused"] == 2
    again = team.mlbuild("pull", "--json").build
    assert (again["objects"], again["restored"]) == (0, [])


def test_a_pull_of_a_target_brings_what_it_needs(team: Team, mate: Path) -> None:
    assert team.mlbuild("pull", FILE, "train", "--json").build["restored"] == ["train"]
    assert not (mate / "out/package").exists()


def test_targets_need_their_pipeline(team: Team) -> None:
    done = team.mlbuild("pull", "train")
    assert (done.code, done.err) == (
        2,
        "targets need the one pipeline that they are of\n  hint: name its file\n",
    )


def test_what_was_changed_by_hand_is_left_alone(team: Team, mate: Path) -> None:
    assert team.mlbuild("pull").code == 0
    (mate / "out/package").write_text("mine\n")
    done = team.mlbuild("pull")
    assert done.code == 0
    assert done.out.endswith("  out/package: changed by hand, left alone (--force puts it back)\n")
    assert (mate / "out/package").read_text() == "mine\n"


def test_force_puts_back_what_was_changed_and_keeps_it(team: Team, mate: Path) -> None:
    team.mlbuild("pull")
    (mate / "out/package").write_text("mine\n")
    done = team.mlbuild("pull", "--force", "--json")
    (kept,) = done.build["kept"]
    assert Path(kept).read_text() == "mine\n"
    assert (mate / "out/package").read_text() == "TRAINED 3\n"


def test_what_nobody_pushed_is_named(team: Team) -> None:
    team.build(3)
    team.remote.mkdir()
    team.clone()
    done = team.mlbuild("pull")
    assert done.code == 4
    assert done.out.endswith(
        "p: fetched 0 objects (0 bytes) from 'r'; 0 stages and 0 datasets put into place\n"
        "  train: nobody has pushed its result; `mlbuild run` makes it\n"
        "  convert: nobody has pushed its result; `mlbuild run` makes it\n"
    )


def test_what_is_corrupt_on_the_remote_is_named_and_not_put_into_place(
    team: Team, mate: Path
) -> None:
    md5 = spoil(object_of(team.remote, b"TRAINED 3\n"), b"other\n")
    done = team.mlbuild("pull")
    assert done.code == 4
    assert (
        f"  convert.package (out/package): object {md5} is corrupt on the remote; "
        "`mlbuild run` makes it\n"
    ) in done.out
    assert not (mate / "out/package").exists()
    assert (mate / "out/model/two").exists()


def test_stages_that_nobody_built_are_told(team: Team, mate: Path) -> None:
    Path(FILE).write_text(
        Path(FILE).read_text() + "  new:\n    run: echo > ${{ outputs.o }}\n    outputs: {o: o}\n"
    )
    done = team.mlbuild("pull")
    assert done.code == 0
    assert done.out.endswith("  never built: new\n")


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_remote_that_cannot_be_reached_is_an_error(team: Team, verb: str) -> None:
    team.build(3)
    root = team.clone() if verb == "pull" else team.owner
    config(root, folder_remote(team.folder / "not/mounted"))
    done = team.mlbuild(verb)
    assert (done.code, done.err) == (
        4,
        f"the DVC remote 'r' cannot be used: {team.folder / 'not'} is not there: mount it, or "
        "make it if it is new\n"
        "  hint: check `dvc remote list` and its credentials, or build without it: --offline\n",
    )
    assert not (team.folder / "not").exists()
