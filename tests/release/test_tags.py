"""Tags of releases: as GTO writes them, on the remote first, all of them or none."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlbuild.errors import DataError, UsageError
from mlbuild.release.promoting import promote
from mlbuild.release.tags import (
    NewTag,
    channel_tags,
    make,
    record_in,
    remote_tags,
    subject_of,
    version_tag,
)
from tests.release.facts_of import facts_of
from tests.release.projects import STAGES, Team, git


@pytest.fixture
def head(team: Team) -> str:
    return git(team.root, "rev-parse", "HEAD")


def tagged(team: Team, *names: str, push: bool = True) -> list[str]:
    commit = git(team.root, "rev-parse", "HEAD")
    return make(team.root, [NewTag(name, commit, f"{name}\n") for name in names], push=push)


def script(name: str, *arguments: str, at: Path) -> str:
    """A command of the environment that these tests run in, as a process of its own."""
    code = {
        "gto": "from gto.cli import app; app()",
        "dvc": "from dvc.cli import main; sys.exit(main())",
    }
    command = [sys.executable, "-W", "ignore", "-c", f"import sys; {code[name]}", *arguments]
    done = subprocess.run(command, cwd=at, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_tag_is_annotated_and_the_same_here_and_there(team: Team) -> None:
    tagged(team, "dogs@v1.0.0")
    assert git(team.root, "cat-file", "-t", "dogs@v1.0.0") == "tag"
    there = git(team.remote, "rev-parse", "dogs@v1.0.0")
    assert git(team.root, "rev-parse", "dogs@v1.0.0") == there


def test_without_pushing_a_tag_stays_here(team: Team) -> None:
    tagged(team, "dogs@v1.0.0", push=False)
    assert (team.tags(), team.remote_tags()) == (["dogs@v1.0.0"], [])


def test_of_several_tags_none_is_made_where_one_is_taken(team: Team) -> None:
    mate = team.clone("mate")
    mate.commit("of somebody else")
    tagged(mate, "dogs@v1.0.0")
    with pytest.raises(DataError) as error:
        tagged(team, "dogs#prod#1", "dogs@v1.0.0")
    lines = error.value.render().splitlines()
    assert lines[0] == (
        "origin has one of the tags dogs#prod#1, dogs@v1.0.0 already: "
        "somebody else released meanwhile"
    )
    assert lines[-1] == ("  hint: git fetch --tags, and release again: the version is decided anew")
    assert (team.tags(), team.remote_tags()) == ([], ["dogs@v1.0.0"])


def test_a_remote_that_refuses_is_told_in_its_own_words(team: Team) -> None:
    hook = team.remote / "hooks/update"
    hook.write_text("#!/bin/sh\necho only robots may release >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(DataError) as error:
        tagged(team, "dogs@v1.0.0")
    told = error.value.render()
    assert told.startswith("the tags dogs@v1.0.0 could not be pushed to origin\n  got: ")
    assert "only robots may release" in told
    assert team.tags() == []


def test_a_message_carries_the_interface_of_the_models(team: Team, head: str) -> None:
    facts = replace(facts_of(), commit=head, reason="a new line")
    tag = version_tag(facts, "ab" * 32)
    assert tag.message.startswith(
        "dogs 2.0.0\n\nthe labels changed: 1 came, 1 went\na new line\n\nmlbuild-release: {"
    )
    assert version_tag(facts, "ab" * 32) == tag
    make(team.root, [tag], push=False)
    record = record_in(team.root, "dogs@v2.0.0")
    assert record is not None
    assert record["manifest"] == "ab" * 32
    assert record["artifacts"]["model"]["model"]["class_labels"][0] == "beagle"
    assert "weights" not in record["artifacts"]["model"]["model"]
    assert record["artifacts"]["package"]["model"] is None
    assert record["reason"] == "a new line"
    assert list(record["waivers"]) == ["accuracy.recall.collie"]


def test_a_tag_of_somebody_else_tells_nothing(team: Team) -> None:
    git(team.root, "tag", "light")
    git(team.root, "tag", "-a", "-m", "The spring model\n\nmore", "annotated")
    git(team.root, "tag", "-a", "-m", "mlbuild-release: {torn", "torn")
    assert [record_in(team.root, t) for t in ("light", "annotated", "torn")] == [None] * 3
    assert [subject_of(team.root, t) for t in ("light", "annotated")] == ["", "The spring model"]


def test_a_record_of_a_newer_mlbuild_is_refused(team: Team) -> None:
    git(team.root, "tag", "-a", "-m", 'mlbuild-release: {"version": 9}', "dogs@v1.0.0")
    with pytest.raises(DataError) as error:
        record_in(team.root, "dogs@v1.0.0")
    assert error.value.render() == (
        "tag dogs@v1.0.0 was written by a newer mlbuild (format 9)\n"
        "  hint: this one knows format 1: upgrade it"
    )


def test_the_numbers_of_channels_go_on_over_all_channels(team: Team, head: str) -> None:
    tagged(team, "dogs#prod#1", "dogs#beta#7", "cats#prod#9", "dogs@v1.0.0")
    other = team.commit("another")
    names = [t.name for t in channel_tags(team.root, "dogs", other, ["beta", "prod"], "1.1.0")]
    assert names == ["dogs#beta#8", "dogs#prod#9"]
    assert channel_tags(team.root, "dogs", head, ["beta", "prod"], "1.0.0") == []


def test_a_channel_that_a_release_was_taken_out_of_takes_it_again(team: Team, head: str) -> None:
    tagged(team, "dogs#prod#1", "dogs#prod!#2")
    names = [t.name for t in channel_tags(team.root, "dogs", head, ["prod"], "1.0.0")]
    assert names == ["dogs#prod#3"]


def test_what_the_remote_knows_is_told_by_commit(team: Team, head: str) -> None:
    tagged(team, "dogs@v1.0.0", "dogs#prod#1", "cats@v1.0.0")
    assert remote_tags(team.root, "dogs") == {"dogs@v1.0.0": head, "dogs#prod#1": head}
    git(team.root, "remote", "remove", "origin")
    assert remote_tags(team.root, "dogs") is None


def test_a_release_is_promoted_and_demoted(team: Team) -> None:
    project = team.project().pipeline
    team.release()
    team.write(STAGES.replace("epochs: 1", "epochs: 2"))
    team.built()
    team.release(channels=("prod",))
    assert promote(project, "v1.0.0", ["prod"], push=True, dry=True) == ["dogs#prod#2"]
    assert team.remote_tags() == ["dogs#prod#1", "dogs@v1.0.0", "dogs@v1.1.0"]
    assert promote(project, "v1.0.0", ["prod"], push=True, dry=False) == ["dogs#prod#2"]
    assert promote(project, "1.0.0", ["prod"], push=True, dry=False) == []
    first = git(team.root, "rev-parse", "dogs@v1.0.0^{commit}")
    assert git(team.remote, "rev-parse", "dogs#prod#2^{commit}") == first


@pytest.mark.parametrize(
    ("version", "channels", "told"),
    [
        (
            "1.0.0",
            [],
            "--promote needs the channel that the release is put into\n"
            "  allowed: beta, prod\n"
            "  hint: --promote 1.0.0 --channel NAME",
        ),
        (
            "3.0.0",
            ["prod"],
            "there is no release dogs 3.0.0\n"
            "  allowed: 1.0.0\n"
            "  hint: if somebody else released it: git fetch --tags origin",
        ),
        (
            "2.0.0",
            ["prod"],
            "there is no release dogs 2.0.0 any more: it was withdrawn\n"
            "  allowed: 1.0.0\n"
            "  hint: if somebody else released it: git fetch --tags origin",
        ),
    ],
)
def test_what_cannot_be_promoted_is_told(
    team: Team, version: str, channels: list[str], told: str
) -> None:
    tagged(team, "dogs@v1.0.0", "dogs@v2.0.0", "dogs@v2.0.0!")
    with pytest.raises(UsageError) as error:
        promote(team.project().pipeline, version, channels, push=True, dry=False)
    assert error.value.render() == told


@pytest.mark.slow
def test_gto_and_dvc_understand_what_was_released(team: Team) -> None:
    team.release(channels=("beta",))
    team.write(STAGES.replace("epochs: 1", "epochs: 2"))
    team.built()
    team.release(channels=("prod",))
    shown = script("gto", "show", "dogs", "--json", at=team.root)
    assert '"version": "v1.1.0"' in shown
    assert '"version": "v1.0.0"' in shown
    assert "dogs#prod#2" in script("gto", "history", "dogs", "--plain", at=team.root)
    # GTO's own next tag goes on from ours.
    script("gto", "assign", "dogs", "--version", "v1.1.0", "--stage", "beta", at=team.root)
    assert "dogs#beta#3" in team.tags()
    for revision, text in (("v1.0.0", "PHOTOS\nEPOCHS 1\n"), ("v1.1.0", "PHOTOS\nEPOCHS 2\n")):
        out = team.folder / revision
        asked = ("artifacts", "get", ".", "dogs", "--rev", revision, "-o", str(out))
        script("dvc", *asked, at=team.root)
        assert out.read_text() == text
    out = team.folder / "beta"
    script("dvc", "artifacts", "get", ".", "dogs", "--stage", "prod", "-o", str(out), at=team.root)
    assert out.read_text() == "PHOTOS\nEPOCHS 2\n"
