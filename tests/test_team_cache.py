"""The team's cache: what a teammate has built is restored, not rebuilt, and is verified."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlbuild.store.runs import value_name
from tests.conftest import Done
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
    git,
    object_of,
    result_of,
    spoil,
)

Write = Callable[[str], Path]


@pytest.fixture
def team(
    project: Path,
    pipeline: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Team:
    """The owner's project with a folder as its remote."""
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", os.fspath(tmp_path / "dvc-config"))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", os.fspath(tmp_path / "dvc-site"))
    config(project, folder_remote(tmp_path / "remote"))
    pipeline(PIPELINE)
    (project / "train.txt").write_text("code\n")
    return Team(project, tmp_path, monkeypatch)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """DVC's settings for a bucket on this machine; nothing leaves it."""
    from moto.server import ThreadedMotoServer  # lazy: only this fixture pays for it

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, os.fspath(tmp_path / name))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{place}/bucket", method="PUT")).close()
    yield (
        "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/team\n"
        f"    endpointurl = {place}\n"
    )
    server.stop()


def _walk(team: Team) -> None:
    for epochs in (3, 5, 7):
        assert result_of(team.build(epochs)) == (2, 0)
    pushed = team.push()
    # Of each: a listing, a file of its own, scores, a package. All share out/model/two.
    assert (pushed["objects"], pushed["entries"], pushed["missing"]) == (13, 6, [])
    team.clone()
    for epochs in (5, 3, 7, 5):
        assert result_of(team.build(epochs)) == (0, 2)
        assert Path("out/package").read_text() == f"TRAINED {epochs}\n"
        assert json.loads(Path("out/scores.json").read_text()) == {"accuracy": epochs / 10}
    assert "Running stage" not in dvc("repro")
    assert "up to date" in dvc("status")


@pytest.mark.slow
def test_a_teammate_walks_through_past_epochs_and_nothing_is_executed(team: Team) -> None:
    _walk(team)
    assert broken_promises(team.remote) == set()


@pytest.mark.slow
def test_the_same_walk_over_s3(team: Team, bucket: str) -> None:
    config(team.owner, bucket)
    _walk(team)
    again = team.push()
    assert (again["objects"], again["entries"], again["present"]) == (0, 0, 13)


@pytest.mark.slow
def test_what_plain_dvc_carries_is_found_too(team: Team) -> None:
    team.build(3)
    team.build(5)
    team.push()
    team.clone()
    dvc("pull", "-q", "--run-cache")
    shutil.rmtree(team.remote / "runs")
    assert result_of(team.build(5)) == (0, 0)  # in place already
    assert result_of(team.build(3)) == (0, 2)


# --- when it is asked ---------------------------------------------------------------------------


def test_only_a_run_that_may_use_the_remote_asks_it(team: Team) -> None:
    team.build(3)
    team.build(5)
    team.push()
    team.clone()
    assert result_of(team.build(3, "--no-pull")) == (2, 0)
    team.clone("offline")
    assert result_of(team.build(3, "--offline")) == (2, 0)
    team.clone("forced")
    assert result_of(team.build(3, "--force", "train")) == (1, 1)
    assert not list((CACHE / "runs").glob("*/*/.*"))


def test_status_asks_only_when_told_to_and_fetches_no_data(team: Team) -> None:
    team.build(3)
    team.push()
    team.build(5)
    team.push("--current")
    team.clone()
    setting = ("--set", "epochs=3", "--json")
    plain = team.mlbuild("status", FILE, *setting)
    assert [e["decision"] for e in plain.events[:-1]] == ["run", "pending"]
    asked = team.mlbuild("status", FILE, "--remote", *setting)
    assert [e["decision"] for e in asked.events[:-1]] == ["restore", "restore"]
    assert not list(CACHE.glob("files/md5/*/*"))
    shutil.rmtree(team.remote / "files")
    gone = team.mlbuild("status", FILE, "--remote", *setting)
    assert [e["decision"] for e in gone.events[:-1]] == ["run", "pending"]


def test_a_stage_behind_one_that_runs_is_asked_for_when_its_turn_comes(team: Team) -> None:
    team.build(3)
    team.build(5)
    team.push()
    root = team.clone()
    text = (root / FILE).read_text()
    (root / FILE).write_text(text.replace("mkdir -p", "mkdir --parents"))
    done = team.build(3)
    assert done.outcomes == {"train": "ran", "convert": "restored"}


def test_readers_of_one_stage_that_runs_are_asked_for_together(team: Team) -> None:
    more = "".join(
        f"  copy{n}:\n    run: cat ${{{{ inputs.i }}}} > ${{{{ outputs.o }}}}\n"
        f"    inputs: {{i: train.scores}}\n    outputs: {{o: out/copy{n}}}\n"
        for n in range(3)
    )
    (team.owner / FILE).write_text((team.owner / FILE).read_text() + more)
    team.build(3)
    team.build(5)
    team.push()
    root = team.clone()
    text = (root / FILE).read_text()
    (root / FILE).write_text(text.replace("mkdir -p", "mkdir --parents"))
    assert result_of(team.build(3)) == (1, 4)
    assert Path("out/copy2").read_text() == '{"accuracy": 0.3}\n'


def test_a_stage_of_another_name_with_the_same_key_is_restored(team: Team) -> None:
    team.build(3)
    team.push()
    root = team.clone()
    text = (root / FILE).read_text().replace("train", "teach").replace("teached", "trained")
    (root / FILE).write_text(text.replace("./teach.txt", "./train.txt").replace("out/", "new/"))
    (root / "dvc.lock").unlink()
    done = team.mlbuild("run", FILE, "--set", "epochs=3", "--json")
    # "echo trained" is part of the command, and `teach` must not be: the template is the key.
    assert done.outcomes == {"teach": "restored", "convert": "restored"}, done.out


# --- a remote that does not answer --------------------------------------------------------------


def test_a_remote_that_is_not_there_is_told_once_and_the_build_goes_on(team: Team) -> None:
    config(team.owner, folder_remote(team.folder / "not/mounted"))
    done = team.mlbuild("run", FILE)
    assert done.code == 0
    warning = (
        f"warning: the DVC remote 'r' cannot be used: {team.folder / 'not'} is not there: mount "
        "it, or make it if it is new\n"
        "  hint: check `dvc remote list` and its credentials, or build without it: --offline\n"
        "  the team's cache is not asked in this build\n"
    )
    assert (done.out + done.err).count("the team's cache is not asked") == 1
    assert warning in done.out + done.err


def test_a_remote_that_dvc_cannot_use_is_told_once_and_the_build_goes_on(team: Team) -> None:
    config(team.owner, "[core]\n    remote = r\n['remote \"r\"']\n    url = nonsense://x\n")
    done = team.mlbuild("run", FILE)
    assert done.code == 0
    assert (done.out + done.err).count("the DVC remote 'r' cannot be used: ") == 1


def test_a_remote_nobody_has_pushed_to_is_no_trouble(team: Team) -> None:
    done = team.mlbuild("run", FILE)
    assert done.code == 0
    assert "warning" not in done.out + done.err


def test_data_that_is_needed_and_cannot_be_had_is_an_error(team: Team) -> None:
    _with_dataset(team)
    team.build(3)
    team.clone()
    done = team.mlbuild("run", FILE, "--set", "epochs=4", "--json")
    assert done.code == 4
    assert "dataset data/words could not be pulled" in done.out + done.err


def test_a_dataset_is_fetched_when_a_stage_reads_it(team: Team) -> None:
    _with_dataset(team)
    team.build(3)
    team.push()
    team.clone()
    done = team.mlbuild("run", FILE, "--set", "epochs=4", "--json")
    assert done.outcomes == {"words": "restored", "train": "ran", "convert": "ran"}
    assert not Path("data").exists() or not Path("data/words").exists()
    (Path(FILE)).write_text(Path(FILE).read_text().replace("cat ", "sort "))
    assert team.build(3).outcomes["words"] == "ran"
    assert Path("data/words/a/one").read_text() == "b\na\n"
    assert "up to date" in dvc("status")


def test_a_dataset_that_is_corrupt_on_the_remote_is_not_believed(team: Team) -> None:
    _with_dataset(team)
    team.build(3)
    team.push()
    name = spoil(object_of(team.remote, b"b\na\n"), b"x\na\n")
    team.clone()
    Path(FILE).write_text(Path(FILE).read_text().replace("cat ", "sort "))
    done = team.mlbuild("run", FILE, "--set", "epochs=3", "--json")
    assert done.code == 4
    assert f"dataset data/words: its object {name} on the remote is corrupt" in done.out + done.err
    assert not Path("data/words").exists()
    team.enter(team.owner)
    assert team.push("--verify")["repaired"] == 1


def _with_dataset(team: Team) -> None:
    words = team.owner / "data/words/a"
    words.mkdir(parents=True)
    (words / "one").write_text("b\na\n")
    more = (
        "datasets: {words: {path: data/words}}\n"
        + PIPELINE
        + "  words:\n    run: cat ${{ inputs.w }}/a/one > ${{ outputs.o }}\n"
        "    inputs: {w: datasets.words}\n    outputs: {o: out/words}\n"
    )
    (team.owner / FILE).write_text(f"version: 1\nname: p\n{more}")


# --- traps --------------------------------------------------------------------------------------


def test_an_entry_whose_objects_were_collected_here_is_restored_from_the_remote(
    team: Team,
) -> None:
    team.build(3)
    team.build(5)
    team.push()
    for file in CACHE.glob("files/md5/*/*"):  # what `dvc gc` leaves of the past
        file.unlink()
    assert result_of(team.build(3)) == (0, 2)


def test_an_entry_whose_objects_are_gone_on_the_remote_is_built_again(team: Team) -> None:
    team.build(3)
    team.build(5)
    team.push()
    shutil.rmtree(team.remote / "files")
    team.clone()
    assert result_of(team.build(3)) == (2, 0)
    team.push()
    assert broken_promises(team.remote) - _past(team) == set()


def _past(team: Team) -> set[str]:
    """What only entries that somebody else pushed promise."""
    own = {m for f in entries(CACHE) for m in _digests(f)}
    return {m for f in entries(team.remote) for m in _digests(f)} - own


def _digests(entry: Path) -> set[str]:
    return {out["md5"] for out in json.loads(entry.read_text())["outs"]}


def test_a_result_built_again_elsewhere_is_found_behind_one_that_is_gone(team: Team) -> None:
    """Two people ran a stage that is not reproducible; the objects of one were collected."""
    text = (team.owner / FILE).read_text().replace("echo trained", "echo $RANDOM$RANDOM trained")
    (team.owner / FILE).write_text(text)
    team.build(3)
    team.push()
    ours = {p.relative_to(CACHE) for p in CACHE.glob("files/md5/??/*")}
    team.clone()
    team.build(3, "--force", "train")
    team.push("--current")
    theirs = Path("out/model/weights/one").read_text()
    for path in ours - {p.relative_to(CACHE) for p in CACHE.glob("files/md5/??/*")}:
        (team.remote / path).unlink()
    team.clone("third")
    assert result_of(team.build(3)) == (0, 2)
    assert Path("out/model/weights/one").read_text() == theirs


@pytest.mark.parametrize("damage", ["other bytes", "half of it"])
def test_a_corrupt_object_is_found_named_rebuilt_and_repaired(team: Team, damage: str) -> None:
    team.build(3)
    team.build(5)
    team.push()
    victim = object_of(team.remote, b"trained 3\n")
    md5 = spoil(victim, b"TRAINED 3\n" if damage == "other bytes" else b"train")
    team.clone()
    done = team.mlbuild("run", FILE, "--set", "epochs=3")
    assert done.code == 0
    assert (
        f"warning: object {md5} (of train.model) is corrupt on the remote: nothing of it was kept; "
        "build here, then `mlbuild push` puts it right\n"
    ) in done.out + done.err
    assert "train    ran" in done.out
    assert Path("out/model/weights/one").read_text() == "trained 3\n"
    pushed = team.push()
    assert (pushed["objects"], pushed["repaired"]) == (1, 1)
    assert victim.read_bytes() == b"trained 3\n"
    assert team.push()["objects"] == 0
    team.clone("third")
    assert result_of(team.build(3)) == (0, 2)


def test_an_object_that_rots_in_the_local_cache_is_had_again_from_the_remote(team: Team) -> None:
    team.build(3)
    team.build(5)
    team.push()
    spoil(object_of(CACHE, b"TRAINED 3\n"), b"rotten\n")
    assert result_of(team.build(3)) == (0, 2)
    assert Path("out/package").read_text() == "TRAINED 3\n"


def test_an_object_that_rotted_in_the_local_cache_is_not_pushed(team: Team) -> None:
    team.build(3)
    md5 = spoil(object_of(CACHE, b"TRAINED 3\n"), b"trained 4\n")
    done = team.mlbuild("push", "--json")
    assert done.code == 4
    assert done.build["missing"] == ["convert.package (out/package)"]
    assert not (team.remote / "files/md5" / md5[:2] / md5[2:]).exists()
    assert len(entries(team.remote)) == 1
    assert team.push()["objects"] == 1  # what lies in place is as good as the cache


def _other_key(entry: dict) -> None:
    ((_, stages),) = entry["params"].items()
    ((_, pin),) = stages.items()
    pin["key"] = "0" * 64


def _outside_the_project(entry: dict) -> None:
    entry["outs"][0]["path"] = "../outside"


def _outside_the_cache(entry: dict) -> None:
    entry["outs"][0]["md5"] = "../../../../outside"


@pytest.mark.parametrize("poison", [_other_key, _outside_the_project, _outside_the_cache])
@pytest.mark.parametrize("renamed", [False, True], ids=["under its name", "under a name to fit"])
def test_a_poisoned_entry_is_not_believed(
    team: Team, poison: Callable[[dict], None], renamed: bool
) -> None:
    team.build(3)
    team.build(5)
    team.push()
    for file in entries(team.remote):
        entry = json.loads(file.read_text())
        poison(entry)
        file.unlink()
        name = value_name(entry) if renamed else file.name
        file.with_name(name).write_text(json.dumps(entry, indent=1))
    team.clone()
    done = team.mlbuild("run", FILE, "--set", "epochs=3")
    assert done.code == 0
    told = done.out + done.err
    assert told.count("is not what its name says: it is ignored") == 2
    assert "p: ok in" in told and ": 2 ran\n" in told
    assert not entries(CACHE) or all(
        file.name == value_name(json.loads(file.read_text())) for file in entries(CACHE)
    )


def test_a_folder_remote_is_used_without_importing_dvc(
    team: Team, mlbuild: Callable[..., Done]
) -> None:
    shadow = team.folder / "shadow/dvc"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError('dvc was imported')\n")
    without = {"PYTHONPATH": f"{shadow.parent}{os.pathsep}{Path(__file__).parents[1]}"}
    team.build(3)
    team.build(5)
    assert mlbuild("push", env=without).code == 0
    team.clone()
    done = mlbuild("run", FILE, "--set", "epochs=3", "--json", env=without)
    assert result_of(done) == (0, 2), done.out + done.err


def test_keys_are_looked_up_by_their_exact_path(team: Team) -> None:
    """Folders of other keys may hold anything, and are not looked at."""
    team.build(3)
    team.build(5)
    team.push()
    other = team.remote / "runs/00" / ("0" * 64)
    other.mkdir(parents=True)
    (other / ("1" * 64)).write_text("nonsense")
    os.mkfifo(other / ("2" * 64))  # reading it would hang
    team.clone()
    assert result_of(team.build(3)) == (0, 2)
    assert not (CACHE / "runs/00" / ("0" * 64)).exists()


def test_two_teammates_push_at_the_same_time(
    team: Team, start: Callable[..., subprocess.Popen[str]]
) -> None:
    team.build(3)
    team.build(5)
    processes = [start("push", "--json") for _ in range(3)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert broken_promises(team.remote) == set()
    team.clone()
    assert result_of(team.build(3)) == (0, 2)


# --- the documented walk ------------------------------------------------------------------------

PAGE = Path(__file__).parents[1] / "docs/team-cache.md"


@pytest.mark.slow
def test_the_walk_of_the_documentation_prints_what_it_says(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text()
    owner = tmp_path / "owner"
    (owner / "pipelines").mkdir(parents=True)
    (owner / "pipelines/tone.yaml").write_text(re.search(r"```yaml\n(.*?)```", text, re.S)[1])
    shims = tmp_path / "bin"
    shims.mkdir()
    for name in ("mlbuild", "dvc"):
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {name} "$@"\n')
        (shims / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{shims}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.fspath(PAGE.parents[1]))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", os.fspath(tmp_path / "dvc-config"))
    for variable in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{variable}_NAME", "a")
        monkeypatch.setenv(f"{variable}_EMAIL", "a@example.com")
    git("init", "-q", ".", at=owner)
    config(owner, "")
    walk = "".join(re.findall(r"```console\n(.*?)```", text, re.S))
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", walk, re.M)
    assert len(steps) == 13
    where = owner
    for command, printed in steps:
        done = subprocess.run(
            ["sh", "-c", command], cwd=where, capture_output=True, text=True, check=True
        )
        assert _without_times(done.stdout) == _without_times(printed), command + done.stderr
        where = tmp_path / "mate" if command.endswith("cd ../mate") else where


def _without_times(text: str) -> str:
    return re.sub(r"\d+\.\d s\b", "0.0 s", text)
