"""What must be true before a release is made, and what is said where it is not."""

import os
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from tests.release.projects import RELEASE, STAGES, Team, git, state


def refused(team: Team, **wish: object) -> str:
    with pytest.raises(DataError) as error:
        team.release(**wish)
    assert not (team.root / "releases").exists()
    return error.value.render()


def test_a_project_outside_git_is_refused(empty: Team) -> None:
    empty.write(STAGES)
    empty.build()
    (empty.root / ".git").rename(empty.folder / "gone")
    assert refused(empty) == (
        f"{empty.root} lies in no git repository\n"
        "  hint: git init, and commit: a release is a tag on a commit"
    )


def test_a_project_without_a_commit_is_refused(empty: Team) -> None:
    empty.write(STAGES)
    empty.build()
    assert refused(empty) == (
        f"{empty.root} has no commit yet\n  hint: commit what is to be released"
    )


def test_a_project_that_was_never_built_is_refused(empty: Team) -> None:
    empty.write(STAGES)
    empty.commit()
    assert refused(empty) == (
        "there is no pipelines/p-lock.json, dvc.yaml, dvc.lock: it was not built yet\n"
        "  hint: mlbuild run pipelines/p.yaml, and commit what it wrote"
    )


def test_a_ledger_that_is_not_in_git_is_refused(team: Team) -> None:
    git(team.root, "rm", "-q", "--cached", "dvc.lock")
    (team.root / ".gitignore").write_text("/releases\n/dvc.lock\n")
    team.commit()
    assert refused(team) == "not in git: dvc.lock\n  hint: git add dvc.lock, and commit"


def test_everything_that_is_not_committed_is_told_at_once(team: Team) -> None:
    team.write(STAGES, RELEASE + "  gates: {train.accuracy: {min: 0.1}}\n")
    (team.root / "stages").mkdir()
    (team.root / "stages/own.py").touch()
    (team.root / "a note.txt").touch()  # matters to nobody
    assert refused(team) == (
        "changed since the last commit: pipelines/p.yaml\n"
        "  hint: commit it, or put it back (git stash)\n"
        "part of the pipeline, and not in git: stages/own.py\n"
        "  hint: git add it and commit, or move it away"
    )


def test_metrics_that_were_not_committed_are_part_of_the_pipeline(team: Team) -> None:
    git(team.root, "rm", "-q", "--cached", "build/train.json")
    git(team.root, "commit", "-q", "-m", "lost the metrics")
    assert "part of the pipeline, and not in git: build/train.json\n" in refused(team)


def test_a_name_with_blanks_and_umlauts_is_shown_as_it_is(team: Team) -> None:
    (team.root / "grüner hund.txt").touch()
    team.commit()
    (team.root / "grüner hund.txt").write_text("x")
    assert refused(team).startswith("changed since the last commit: grüner hund.txt\n")


def test_of_many_paths_ten_are_shown(team: Team) -> None:
    for number in range(13):
        (team.root / f"file{number:02}").touch()
    team.commit()
    for number in range(13):
        (team.root / f"file{number:02}").write_text("x")
    assert refused(team).splitlines()[0].endswith("file08, file09 and 3 more")


def test_folders_of_releases_are_ignored_by_git_before_there_is_one(team: Team) -> None:
    (team.root / ".gitignore").unlink()
    team.commit()
    assert refused(team) == (
        "git did not ignore releases/: .gitignore does now\n"
        "  hint: commit it, and release again: git add .gitignore"
    )
    assert (team.root / ".gitignore").read_text() == "/releases\n"
    team.commit()
    assert team.release().outcome == "released"


def test_a_dry_run_leaves_even_gitignore_alone(team: Team) -> None:
    (team.root / ".gitignore").unlink()
    team.commit()
    before = state(team.root)
    assert refused(team, dry=True) == (
        "git does not ignore releases/\n  hint: add /releases to .gitignore, and commit it"
    )
    assert state(team.root) == before


def test_the_project_itself_is_no_folder_of_releases(team: Team) -> None:
    assert refused(team, folder=team.root) == (
        "folders of releases would lie among the project's own\n  hint: --output DIR"
    )


def test_a_folder_elsewhere_need_not_be_ignored(team: Team, tmp_path: Path) -> None:
    (team.root / ".gitignore").unlink()
    team.commit()
    done = team.release(folder=tmp_path / "elsewhere")
    assert done.folder == tmp_path / "elsewhere/dogs/v1.0.0"


def test_a_shallow_clone_is_refused(team: Team) -> None:
    team.commit("another")
    git(team.root, "push", "-q", "origin", "HEAD:main")
    clone = team.folder / "shallow"
    git(team.folder, "clone", "-q", "--depth=1", f"file://{team.remote}", os.fspath(clone))
    assert refused(Team(clone, team.folder)) == (
        f"{clone} is a shallow clone: which releases there are cannot be told\n"
        "  hint: git fetch --unshallow --tags (in CI: clone with fetch-depth: 0)"
    )


def test_a_clone_without_the_tags_of_its_remote_is_refused(team: Team) -> None:
    team.release()
    mate = team.clone("mate")
    git(mate.root, "tag", "-d", "dogs@v1.0.0")
    mate.commit("another")
    assert refused(mate) == (
        "origin has releases that this clone does not know: dogs@v1.0.0\n"
        "  hint: git fetch --tags origin"
    )


def test_a_remote_that_is_away_is_told(team: Team) -> None:
    git(team.root, "remote", "set-url", "origin", os.fspath(team.folder / "gone.git"))
    assert refused(team).startswith(f"git ls-remote --tags failed in {team.root}\n  got: ")


def test_without_pushing_the_remote_is_not_asked(team: Team) -> None:
    git(team.root, "remote", "set-url", "origin", os.fspath(team.folder / "gone.git"))
    assert team.release(push=False).tags == ("dogs@v1.0.0",)


def test_a_project_without_a_remote_keeps_its_tag_and_says_so(team: Team) -> None:
    git(team.root, "remote", "remove", "origin")
    done = team.release()
    assert done.tags == ("dogs@v1.0.0",)
    assert done.remarks == ("there is no remote 'origin': the tags are in this clone alone",)


def test_a_git_that_knows_no_committer_is_told(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_AUTHOR_NAME", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    git(team.root, "config", "user.useConfigOnly", "true")
    assert refused(team) == (
        "git does not know who makes the tag\n"
        "  hint: git config user.name NAME, and user.email ADDRESS"
    )


def test_a_build_that_was_compared_with_an_older_release_is_refused(team: Team) -> None:
    compared = "accuracy: {max_drop: {value: 0.5, against: release}}"
    text = STAGES.replace("accuracy: {min: 0.5}", compared)
    team.write(text)
    team.built()
    team.release()
    team.commit("the ledger says that there was no release yet")
    assert team.release().outcome == "nothing"  # no reason to complain
    with pytest.raises(DataError) as error:
        team.release(version="1.0.1", reason="again")
    assert error.value.render() == (
        "the build was compared with none, and the last release is release 1.0.0\n"
        "  hint: mlbuild run p.yaml, commit the ledger, and release again"
    )
    team.built()
    assert team.release(version="1.0.1", reason="again").outcome == "released"


def test_a_withdrawal_that_only_the_remote_knows_is_told(team: Team) -> None:
    team.release()
    mate = team.clone("mate")
    git(mate.root, "tag", "-a", "-m", "withdrawn", "dogs@v1.0.0!")
    git(mate.root, "push", "-q", "origin", "dogs@v1.0.0!")
    team.commit("another")
    with pytest.raises(DataError) as error:
        team.release()
    assert error.value.render() == (
        "origin has releases that this clone does not know: dogs@v1.0.0!\n"
        "  hint: git fetch --tags origin"
    )


@pytest.mark.parametrize("way", ["key: keys/release", "key_env: RELEASE_KEY"])
def test_a_private_key_that_is_in_git_is_refused(
    team: Team, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELEASE_KEY", "./keys/release")
    (team.root / "keys").mkdir()
    (team.root / "keys/release").write_text("-----BEGIN PRIVATE KEY-----\n")
    team.write(STAGES, RELEASE + f"  sign: {{{way}, public_key: keys/release.pub}}\n")
    team.built()
    assert refused(team) == (
        "git tracks the private key keys/release\n"
        "  hint: make another pair (mlbuild release --new-key PATH): this one is known to others"
    )
