"""What tests of publishers share: a release, a clock, no proxy of the developer's."""

import os
from pathlib import Path

import pytest

from mlbuild.release.publish.protocol import Bundle
from tests.release.publish.bundles import Clock, write_release


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # no .netrc, no .aws, no .gitconfig


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def release(tmp_path: Path) -> Bundle:
    return write_release(tmp_path / "releases")


@pytest.fixture
def clock() -> Clock:
    return Clock()
