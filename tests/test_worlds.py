"""Four incompatible worlds in one pipeline: trained two at a time, each held against itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.toolchains.places import cache_dir
from tests.conftest import ROOT, Done

CACHE = cache_dir()  # the user's, before the project has one of its own
WORLDS = ("torch", "tensorflow", "classical", "turicreate")


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.campaign
def test_four_toolchains_train_in_one_pipeline_and_the_second_run_does_nothing(
    project: Path, mlbuild: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLBUILD_CACHE_DIR", os.fspath(CACHE))
    text = (ROOT / "pipelines/worlds.yaml").read_text(encoding="utf-8")
    (project / "pipelines/worlds.yaml").write_text(text, encoding="utf-8")
    done = mlbuild("run", "pipelines/worlds.yaml", "-j", "2", "--json")
    assert done.code == 0, done.out + done.err
    assert {done.outcomes[world] for world in WORLDS} == {"ran"}
    for world in WORLDS:
        found = project / f"build/worlds/{world}-same/metrics.json"
        figures = json.loads(found.read_text(encoding="utf-8"))
        if world in ("torch", "tensorflow"):
            assert figures["psnr_db"] >= 40
        else:
            assert figures["max_abs"] <= 1e-5

    again = mlbuild("run", "pipelines/worlds.yaml", "-j", "2", "--json")
    assert again.code == 0, again.out + again.err
    assert set(again.outcomes.values()) == {"reused"}
