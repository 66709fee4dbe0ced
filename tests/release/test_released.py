"""Releases as a repository's tags tell of them."""

import random
import subprocess
from pathlib import Path

import pytest

from mlbuild.errors import DataError
from mlbuild.released import (
    Tagged,
    Version,
    file_at,
    full_name,
    head_commit,
    last_release,
    releases,
)


def git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(root: Path, text: str) -> str:
    root.joinpath("file.txt").write_text(text)
    git(root, "add", "-A", ".")
    git(root, "commit", "-q", "-m", text)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def tag(root: Path, name: str, *more: str) -> None:
    git(root, "tag", "-a", "-m", "a release", name, *more)


ORDER = [  # https://semver.org, section 11
    "0.9.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.9.0",
    "1.10.0",
    "2.0.0",
]


def test_versions_are_ordered_as_semver_says() -> None:
    mixed = [v for text in ORDER if (v := Version.parse(text))]
    random.Random(3).shuffle(mixed)
    assert [str(v) for v in sorted(mixed)] == ORDER


@pytest.mark.parametrize(
    "text", ["1", "1.2", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+build", "v1.2.3", "1.2.3\n", ""]
)
def test_what_is_no_version_is_none(text: str) -> None:
    assert Version.parse(text) is None


def test_annotated_and_light_tags_are_releases(root: Path) -> None:
    first = commit(root, "a")
    tag(root, "dogs@v1.0.0")
    second = commit(root, "b")
    git(root, "tag", "dogs@v1.10.0")
    tag(root, "dogs@v1.9.0", first)
    assert releases(root, "dogs") == [
        Tagged("dogs", "1.0.0", "dogs@v1.0.0", first),
        Tagged("dogs", "1.9.0", "dogs@v1.9.0", first),
        Tagged("dogs", "1.10.0", "dogs@v1.10.0", second),
    ]


def test_other_tags_are_no_releases_of_that_name(root: Path) -> None:
    commit(root, "a")
    for name in (
        "v1.0.0",
        "cats@v1.0.0",
        "dogs@v1",
        "dogs@vnext",
        "big/dogs@v1.0.0",
        "dogs#prod#1",
    ):
        tag(root, name)
    tag(root, "dogs@v3.0.0", git(root, "rev-parse", "HEAD^{tree}"))
    assert releases(root, "dogs") == []


def test_a_star_in_a_name_is_no_pattern(root: Path) -> None:
    commit(root, "a")
    tag(root, "dogs@v1.0.0")
    assert releases(root, "do*") == []


def test_the_last_release_is_the_highest_version_not_the_youngest_tag(root: Path) -> None:
    commit(root, "a")
    tag(root, "dogs@v2.0.0")
    commit(root, "b")
    tag(root, "dogs@v1.0.1")
    found = last_release(root, "dogs", before_head=False)
    assert found and found.version == "2.0.0"


def test_a_release_of_head_itself_is_not_before_head(root: Path) -> None:
    commit(root, "a")
    tag(root, "dogs@v1.0.0")
    commit(root, "b")
    tag(root, "dogs@v1.1.0")
    found = last_release(root, "dogs", before_head=True)
    assert found and found.version == "1.0.0"


def test_a_release_on_another_branch_is_not_before_head(root: Path) -> None:
    commit(root, "a")
    git(root, "checkout", "-q", "-b", "other")
    commit(root, "b")
    tag(root, "dogs@v2.0.0")
    git(root, "checkout", "-q", "main")
    commit(root, "c")
    assert last_release(root, "dogs", before_head=True) is None
    found = last_release(root, "dogs", before_head=False)
    assert found and found.version == "2.0.0"


def test_pre_releases_are_listed_but_are_no_last_release(root: Path) -> None:
    commit(root, "a")
    tag(root, "dogs@v1.0.0")
    tag(root, "dogs@v1.1.0-rc.1")
    assert [t.version for t in releases(root, "dogs")] == ["1.0.0", "1.1.0-rc.1"]
    found = last_release(root, "dogs", before_head=False)
    assert found and found.version == "1.0.0"


def test_a_withdrawn_release_is_no_last_release_and_its_version_stays_taken(root: Path) -> None:
    commit(root, "a")
    tag(root, "dogs@v1.0.0")
    tag(root, "dogs@v1.1.0")
    tag(root, "dogs@v1.1.0!")
    assert [(t.version, t.withdrawn) for t in releases(root, "dogs")] == [
        ("1.0.0", False),
        ("1.1.0", True),
    ]
    found = last_release(root, "dogs", before_head=False)
    assert found and found.version == "1.0.0"


def test_before_the_first_commit_there_is_no_release(root: Path) -> None:
    assert head_commit(root) is None
    assert last_release(root, "dogs", before_head=True) is None
    assert last_release(root, "dogs", before_head=False) is None


def test_a_project_in_a_folder_has_the_folder_in_its_tags(root: Path) -> None:
    folder = root / "apps" / "camera"
    folder.mkdir(parents=True)
    made = commit(folder, "a")
    tag(root, "dogs@v1.0.0")
    tag(root, "apps/camera=dogs@v1.1.0")
    assert full_name(folder, "dogs") == "apps/camera=dogs"
    assert releases(folder, "dogs") == [
        Tagged("dogs", "1.1.0", "apps/camera=dogs@v1.1.0", made),
    ]
    assert [t.version for t in releases(root, "dogs")] == ["1.0.0"]


def test_a_file_is_read_as_it_was_at_a_commit(root: Path) -> None:
    first = commit(root, "old")
    commit(root, "new")
    assert file_at(root, first, "file.txt") == b"old"
    assert file_at(root, first, "none.txt") is None


def test_a_file_is_named_relative_to_the_project(root: Path) -> None:
    (root / "sub").mkdir()
    made = commit(root / "sub", "text")
    assert file_at(root / "sub", made, "file.txt") == b"text"
    assert file_at(root, made, "file.txt") is None


def test_a_file_of_a_commit_that_is_not_there_is_an_error(root: Path) -> None:
    commit(root, "a")
    with pytest.raises(DataError) as error:
        file_at(root, "1" * 40, "file.txt")
    assert error.value.render().startswith(f"git cat-file -e failed in {root}\n  got: ")


def test_outside_git_is_told(tmp_path: Path) -> None:
    for asked in (
        lambda: releases(tmp_path, "dogs"),
        lambda: last_release(tmp_path, "dogs", before_head=True),
        lambda: file_at(tmp_path, "HEAD", "file.txt"),
        lambda: head_commit(tmp_path),
    ):
        with pytest.raises(DataError) as error:
            asked()
        assert error.value.render() == (
            f"{tmp_path} lies in no git repository\n"
            "  hint: git init, and commit: a release is a tag on a commit"
        )


def test_a_shallow_clone_is_refused_rather_than_believed(root: Path, tmp_path: Path) -> None:
    commit(root, "a")
    tag(root, "dogs@v1.0.0")
    commit(root, "b")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", str(clone))
    with pytest.raises(DataError) as error:
        last_release(clone, "dogs", before_head=True)
    assert error.value.render() == (
        f"{clone} is a shallow clone: which releases there are cannot be told\n"
        "  hint: git fetch --unshallow --tags (in CI: clone with fetch-depth: 0)"
    )


def test_a_hooks_variables_do_not_lead_astray(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(root, "a")
    tag(root, "dogs@v1.0.0")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    assert [t.version for t in releases(root, "dogs")] == ["1.0.0"]


def test_git_that_is_not_installed_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(DataError) as error:
        releases(root, "dogs")
    assert error.value.render() == "git is not installed\n  hint: install git"
