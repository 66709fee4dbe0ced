"""What all tests share: no test reads or writes the user's own places by accident."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _quiet_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project in a folder whose name needs quoting, as the current folder."""
    root = tmp_path / "a project's folder"
    (root / "pipelines").mkdir(parents=True)
    (root / ".git").mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(tmp_path / "cache"))
    monkeypatch.setenv("CI", "true")
    return root
