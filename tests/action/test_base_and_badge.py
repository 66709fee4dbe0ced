"""The scripts that find the version before and that put the badge on its branch."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.action.conftest import git
from tests.conftest import ROOT


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with three commits on main; a second branch."""
    root = tmp_path / "origin"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "uploadpack.allowAnySHA1InWant", "true")  # as GitHub has it
    for number in range(3):
        (root / "file").write_text(str(number))
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", str(number))
    git(root, "branch", "other", "HEAD~1")
    return root


def base(clone: Path, tmp_path: Path, asked: str, event: str = "") -> tuple[int, str, str]:
    output = tmp_path / "output"
    output.write_text("")
    done = subprocess.run(
        ["bash", str(ROOT / "action/base.sh")],
        cwd=clone,
        env={**os.environ, "ASKED": asked, "EVENT": event, "GITHUB_OUTPUT": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, output.read_text(), done.stdout


def cloned(origin: Path, tmp_path: Path, *options: str) -> Path:
    git(tmp_path, "clone", "-q", *options, origin.as_uri(), "clone")
    return tmp_path / "clone"


def test_the_base_of_a_pull_request_is_fetched_into_a_clone_of_one_commit(
    origin: Path, tmp_path: Path
) -> None:
    commit = git(origin, "rev-parse", "HEAD~2")
    clone = cloned(origin, tmp_path, "--depth=1")
    assert base(clone, tmp_path, "", commit) == (0, f"commit={commit}\n", "")
    assert git(clone, "cat-file", "-t", commit) == "commit"


def test_a_whole_clone_stays_whole(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path, "--single-branch")
    commit = git(origin, "rev-parse", "other")
    assert base(clone, tmp_path, "other") == (0, f"commit={commit}\n", "")
    assert git(clone, "rev-parse", "--is-shallow-repository") == "false"


@pytest.mark.parametrize(("asked", "event"), [("none", "abc"), ("", ""), ("", "0" * 40)])
def test_nothing_to_compare_with_is_nothing(
    origin: Path, tmp_path: Path, asked: str, event: str
) -> None:
    assert base(origin, tmp_path, asked, event) == (0, "commit=\n", "")


def test_an_event_whose_commit_is_gone_is_a_warning(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path)
    told = "::warning::the version before cannot be fetched, so there is nothing to compare with\n"
    assert base(clone, tmp_path, "", "ab" * 20) == (0, "commit=\n", told)


def test_a_base_that_is_nowhere_is_an_error(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path)
    told = "::error::base: neither this clone nor origin has such a revision\n"
    assert base(clone, tmp_path, "nowhere") == (2, "", told)


@pytest.mark.parametrize("asked", ["--upload-pack=touch pwned", "-x"])
def test_a_base_is_never_an_option(origin: Path, tmp_path: Path, asked: str) -> None:
    clone = cloned(origin, tmp_path)
    assert base(clone, tmp_path, asked)[0] == 2
    assert not (clone / "pwned").exists()


@pytest.mark.parametrize("asked", ["$(touch pwned)", "; touch pwned", "`touch pwned`"])
def test_a_base_is_never_a_command(origin: Path, tmp_path: Path, asked: str) -> None:
    clone = cloned(origin, tmp_path)
    assert base(clone, tmp_path, asked)[0] == 2
    assert not (clone / "pwned").exists()


def badge(clone: Path, tmp_path: Path, text: str, model: str, branch: str = "badges") -> int:
    folder = tmp_path / "report"
    folder.mkdir(exist_ok=True)
    (folder / "badge.json").write_text(text)
    variables = {
        "BRANCH": branch,
        "MODEL": model,
        "FOLDER": str(folder),
        "RUNNER_TEMP": str(tmp_path),
    }
    command = ["bash", str(ROOT / "action/badge.sh")]
    env = {**os.environ, **variables}
    return subprocess.run(command, cwd=clone, env=env, capture_output=True, check=False).returncode


def test_badges_lie_side_by_side_on_a_branch_of_their_own(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path)
    head = git(clone, "rev-parse", "HEAD")
    assert badge(clone, tmp_path, "one", "models/Dogs.mlpackage") == 0
    assert badge(clone, tmp_path, "two", "Cats.mlmodel") == 0
    assert badge(clone, tmp_path, "three", "models/Dogs.mlpackage") == 0
    files = git(origin, "ls-tree", "-r", "--name-only", "badges").splitlines()
    assert files == ["badges/Cats.json", "badges/Dogs.json"]
    assert git(origin, "show", "badges:badges/Dogs.json") == "three"
    assert git(origin, "rev-list", "--count", "badges") == "3"
    assert (git(clone, "status", "--porcelain"), git(clone, "rev-parse", "HEAD")) == ("", head)


def test_an_unchanged_badge_is_no_commit(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path)
    for _ in range(2):
        assert badge(clone, tmp_path, "one", "Dogs.mlpackage") == 0
    assert git(origin, "rev-list", "--count", "badges") == "1"


def test_a_branch_that_is_none_is_refused(origin: Path, tmp_path: Path) -> None:
    clone = cloned(origin, tmp_path)
    assert badge(clone, tmp_path, "one", "Dogs.mlpackage", "a..b") == 2
