# ruff: noqa: F811 - fixtures are imported, and named by tests
"""`mlbuild release` at the command line: what it prints, and what it exits with."""

import contextlib
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlbuild.cli.main import main
from mlbuild.cli.release import waivers_of
from mlbuild.errors import UsageError
from tests.conftest import ROOT, Done
from tests.release.conftest import built_once, empty, team  # noqa: F401 - fixtures
from tests.release.projects import FILE, RELEASE, STAGES, Team, git

HELD = "holding the build against the ledger\n"  # the first step is told


def mlbuild(*arguments: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["release", FILE, *arguments])
    return Done(code, out.getvalue(), err.getvalue())


def event(done: Done) -> dict[str, Any]:
    (found,) = done.events
    assert found["event"] == "release"
    assert found["exit_code"] == done.code
    return found


def test_a_release_prints_what_became_of_it(team: Team) -> None:
    done = mlbuild("--channel", "beta")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    start = lines.index("dogs 1.0.0 (first; the first release)")
    assert lines[start : start + 5] == [
        "dogs 1.0.0 (first; the first release)",
        "  there is no release to compare with",
        "gates",
        "  holds   train: accuracy 0.91 holds",
        "folder releases/dogs/v1.0.0",
    ]
    assert lines[-1] == "tagged dogs@v1.0.0, dogs#beta#1"
    assert "    16 bytes  artifacts/package/package.txt" in lines


def test_with_json_the_only_line_is_the_release(team: Team) -> None:
    found = event(mlbuild("--json"))
    assert found["outcome"] == "released"
    assert (found["name"], found["release"], found["tag"]) == ("dogs", "1.0.0", "dogs@v1.0.0")
    assert (found["level"], found["previous"]) == ("first", None)
    assert found["folder"] == "releases/dogs/v1.0.0"
    assert found["gates"][0]["gate"] == "train.accuracy"
    assert {"path": "artifacts/package/package.txt", "size": 16} in found["files"]
    assert found["notes"].startswith("# dogs 1.0.0\n")


def test_a_dry_run_shows_notes_files_tags_and_publishers(team: Team) -> None:
    team.write(STAGES, RELEASE + "  publish: [{folder: ../published}]\n")
    team.built()
    done = mlbuild("--dry-run")
    assert done.code == 0
    lines = done.out.splitlines()
    assert "a dry run: nothing is changed" in lines
    assert "  # dogs 1.0.0" in lines
    assert "would write releases/dogs/v1.0.0" in lines
    assert "would tag dogs@v1.0.0" in lines
    assert lines[-1] == "would publish to folder ../published: nothing is in the way"
    assert not (team.folder / "published").exists()
    assert team.tags() == []


def test_a_gate_that_fails_is_shown_with_its_figures(team: Team) -> None:
    team.write(STAGES, RELEASE + "  gates: {train.accuracy: {min: 0.95}}\n")
    team.built()
    done = mlbuild()
    assert (done.code, done.out) == (
        5,
        f"{HELD}not released: a gate does not hold\n"
        "gates\n"
        "  holds   train: accuracy 0.91 holds\n"
        "  FAILED  train: accuracy 0.91 is below min 0.95\n"
        '  hint: --waive "STAGE.METRIC=why it may fail this once" is recorded in the release\n',
    )
    assert event(mlbuild("--json"))["outcome"] == "gate_failed"
    waived = mlbuild("--waive", "train.accuracy=puppies = hard")
    assert waived.code == 0
    assert "  waived  train: accuracy 0.91 is below min 0.95 (puppies = hard)" in waived.out


def test_what_would_have_to_run_is_shown_with_its_reasons(team: Team) -> None:
    team.write(STAGES.replace("epochs: 1", "epochs: 9"))
    team.commit()
    done = mlbuild()
    assert (done.code, done.out) == (
        4,
        f"{HELD}not released: these stages would have to run first\n"
        "  train: code changed\n"
        "  hint: mlbuild run, commit the ledger, mlbuild push; then release\n",
    )
    found = event(mlbuild("--json"))
    assert found["outcome"] == "stale"
    assert found["stale"] == [{"stage": "train", "reasons": ["code_changed"]}]


def test_nothing_to_release_is_no_failure(team: Team) -> None:
    mlbuild()
    team.commit("a comment")
    done = mlbuild()
    assert (done.code, done.out) == (
        0,
        f"{HELD}nothing to release: nothing changed\n"
        '  to release all the same: --version X --reason "why"\n',
    )
    assert event(mlbuild("--json"))["outcome"] == "nothing"


def test_a_version_with_its_reason_is_shown(team: Team) -> None:
    done = mlbuild("--version", "2.0.0", "--reason", "a new line")
    assert "dogs 2.0.0 (first; the first release)\n" in done.out
    assert "  reason: a new line\n" in done.out


def test_preconditions_are_errors(team: Team) -> None:
    team.write(STAGES, RELEASE + "  first: 2.0.0\n")
    done = mlbuild("--json")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "changed since the last commit: pipelines/p.yaml\n"
        "  hint: commit it, or put it back (git stash)\n"
    )


def test_a_release_is_promoted(team: Team) -> None:
    mlbuild()
    dry = mlbuild("--promote", "1.0.0", "--channel", "prod", "--dry-run")
    assert dry.out == "would tag dogs#prod#1\n"
    assert mlbuild("--promote", "1.0.0", "--channel", "prod").out == "tagged dogs#prod#1\n"
    again = mlbuild("--promote", "1.0.0", "--channel", "prod")
    assert again.out == "it is in these channels already\n"
    found = mlbuild("--promote", "1.0.0", "--channel", "beta", "--json").events
    assert found == [{"event": "release", "outcome": "promoted", "tags": ["dogs#beta#2"]}]
    assert team.remote_tags() == ["dogs#beta#2", "dogs#prod#1", "dogs@v1.0.0"]


def test_a_key_pair_is_made_and_nothing_is_released(team: Team, tmp_path: Path) -> None:
    key = tmp_path / "keys/release"
    done = mlbuild("--new-key", os.fspath(key))
    assert (done.code, done.out) == (
        0,
        f"{key}: keep it secret\n{key}.pub: commit it, and name it in release: sign:\n",
    )
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"PUBLIC KEY" in (tmp_path / "keys/release.pub").read_bytes()
    assert team.tags() == []


def test_a_private_key_in_the_project_is_kept_out_of_git(team: Team) -> None:
    done = mlbuild("--new-key", "keys/release")
    assert (done.code, done.out) == (
        0,
        "keys/release: keep it secret\n"
        "keys/.gitignore: keeps it out of git; commit that\n"
        "keys/release.pub: commit it, and name it in release: sign:\n",
    )
    team.commit()
    tracked = git(team.root, "ls-files", "keys").splitlines()
    assert tracked == ["keys/.gitignore", "keys/release.pub"]


def test_the_folder_can_be_elsewhere(team: Team, tmp_path: Path) -> None:
    done = mlbuild("--output", os.fspath(tmp_path / "out"), "--no-push", "--json")
    assert event(done)["folder"] == os.fspath(tmp_path / "out/dogs/v1.0.0")
    assert (tmp_path / "out/dogs/v1.0.0/manifest.json").exists()
    assert (team.tags(), team.remote_tags()) == (["dogs@v1.0.0"], [])


def test_without_publishing_the_places_see_nothing(team: Team) -> None:
    team.write(STAGES, RELEASE + "  publish: [{folder: ../published}]\n")
    team.built()
    assert event(mlbuild("--no-publish", "--json"))["publish"] == []
    assert not (team.folder / "published").exists()
    published = event(mlbuild("--json"))["publish"]  # completed later
    assert [row["publisher"] for row in published] == ["folder ../published"]
    assert (team.folder / "published/dogs/v1.0.0/manifest.json").exists()


@pytest.mark.parametrize(
    ("text", "gate", "reason"),
    [
        ("train.accuracy=puppies", "train.accuracy", "puppies"),
        ("train.recall.pug = a = b ", "train.recall.pug", "a = b"),
        ("shrink[bits=4,form=a].size=x=y", "shrink[bits=4,form=a].size", "x=y"),
        ("train.accuracy=", "train.accuracy", ""),
    ],
)
def test_a_waiver_names_a_gate_and_a_reason(text: str, gate: str, reason: str) -> None:
    assert waivers_of([text]) == {gate: reason}


def test_a_waiver_without_a_reason_at_all_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        waivers_of(["shrink[bits=4].size"])
    assert error.value.render() == (
        "--waive names a gate and a reason\n"
        "  got: shrink[bits=4].size\n"
        "  hint: --waive 'validate.psnr_db=collies are puppies'"
    )


def test_what_is_released_passes_mlbuild_verify(team: Team) -> None:
    mlbuild()
    shutil.copytree(team.root / "releases/dogs/v1.0.0", team.folder / "dogs")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["verify", os.fspath(team.folder / "dogs"), "--json"])
    assert code == 0
    assert json.loads(out.getvalue().splitlines()[-1])["ok"] is True


@pytest.mark.toolchain
@pytest.mark.slow
def test_a_real_model_is_looked_into_and_its_labels_make_a_major_version(
    empty: Team, made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(cache))
    text = """\
stages:
  convert:
    run: cp -r ${{ inputs.made }} ${{ outputs.model }}
    inputs: {made: ./Made.mlpackage}
    outputs: {model: {path: build/Mean.mlpackage, type: CoreMLModel}}
release:
  artifacts: {model: convert.model}
"""
    shutil.copytree(made / "Mean.mlpackage", empty.root / "Made.mlpackage")
    empty.write(text, release="")
    empty.built()
    assert mlbuild().code == 0
    model = empty.manifest("1.0.0")["artifacts"][0]["model"]
    assert (model["target"], model["class_labels"]) == ("iOS16", ["red", "green", "blue"])
    spec = empty.root / "Made.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    spec.write_bytes(spec.read_bytes().replace(b"green", b"olive"))
    empty.built()
    found = event(mlbuild("--json"))
    assert (found["release"], found["why"]) == ("2.0.0", ["the labels changed: 1 came, 1 went"])


def test_the_page_shows_what_is_printed(team: Team) -> None:
    mlbuild()
    team.write(STAGES.replace("epochs: 1", "epochs: 2"))
    team.built()
    printed = mlbuild().out.splitlines()
    page = (ROOT / "docs/releasing.md").read_text()
    shown = page.partition("<!-- second release -->\n```\n")[2].partition("\n```")[0].splitlines()
    assert printed[: len(shown)] == shown
