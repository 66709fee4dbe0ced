"""Models for the verbs that need torch: all made by one process, once for a run of the tests."""

import os
import subprocess
from pathlib import Path

import pytest

from mlbuild.toolchains import Toolchains
from mlbuild.toolchains.places import cache_dir


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's own: a toolchain is too big to be a test's."""
    return cache_dir()


@pytest.fixture(scope="session")
def made(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what `make_models.py` makes; tests that write into it put it right again."""
    folder = tmp_path_factory.mktemp("models")
    python = Toolchains(folder, {}, cache).ensure("torch", lambda done, total, text: None)
    script = Path(__file__).with_name("make_models.py")
    subprocess.run([python, script, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def real_cache(project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's toolchains are the user's."""
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(cache))
