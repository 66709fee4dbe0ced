"""What tests of releases share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.release.projects import STAGES, Team, git, make_team


def _variables(folder: Path) -> Mapping[str, str]:
    return {
        "GIT_AUTHOR_NAME": "ann",
        "GIT_AUTHOR_EMAIL": "ann@example.com",
        "GIT_COMMITTER_NAME": "ann",
        "GIT_COMMITTER_EMAIL": "ann@example.com",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "MLBUILD_CACHE_DIR": os.fspath(folder / "cache"),
        "DVC_GLOBAL_CONFIG_DIR": os.fspath(folder / "dvc-config"),
        "DVC_SITE_CACHE_DIR": os.fspath(folder / "dvc-site"),
        "DVC_NO_ANALYTICS": "1",
        "CI": "true",
    }


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    """A project without a pipeline, as the current folder."""
    for name, value in _variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    team = make_team(tmp_path, tmp_path / "a project")
    monkeypatch.chdir(team.root)
    return team


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was built and committed; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _variables(folder).items():
            patch.setenv(name, value)
        team = make_team(folder, folder / "a project")
        team.write(STAGES)
        team.built()
    return team.root  # behind: no other test of the session may see these variables


@pytest.fixture
def team(built_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    """A project that was built and committed, as the current folder."""
    for name, value in _variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "a project"
    shutil.copytree(built_once, root, symlinks=True)
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin.git")
    git(root, "remote", "set-url", "origin", os.fspath(tmp_path / "origin.git"))
    monkeypatch.chdir(root)
    return Team(root, tmp_path)
