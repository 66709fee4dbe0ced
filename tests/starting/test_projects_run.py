"""Projects begun from real data and real models are built at once, as they were written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Done

Run = Callable[..., Done]

DATA = ROOT.parent / "shared/data"
pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="needs the data in ../shared/data"),
]


def _some(source: Path, target: Path, classes: int, each: int) -> None:
    for folder in sorted(p for p in source.iterdir() if p.is_dir())[:classes]:
        (target / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:each]:
            shutil.copy(file, target / folder.name)


def _built(mlbuild: Run, name: str) -> Path:
    done = mlbuild("run", f"pipelines/{name}.yaml", "--json", timeout=900)
    assert done.code == 0, done.out[-4000:] + done.err[-4000:]
    assert done.outcomes["package"] == "ran"
    again = mlbuild("run", f"pipelines/{name}.yaml", "--json")
    assert set(again.outcomes.values()) <= {"reused", "excluded"}
    return Path("build") / name


def test_a_folder_of_photographs_becomes_a_packaged_classifier(
    with_torch: Path, mlbuild: Run
) -> None:
    _some(DATA / "dogs", with_torch / "data/photos", classes=4, each=7)
    begun = mlbuild("init", "--name", "dogs")
    assert begun.out.startswith(
        "data/photos: a folder of pictures for each class (4 folders with 28 pictures)\n"
    )
    build = _built(mlbuild, "dogs")
    assert (build / "package/Dogs/Package.swift").is_file()
    assert json.loads((build / "accuracy/metrics.json").read_text())["accuracy"]["n"] == 4


def test_a_folder_of_sounds_becomes_a_packaged_classifier(with_torch: Path, mlbuild: Run) -> None:
    _some(DATA / "spoken_digits", with_torch / "data/digits", classes=3, each=24)
    begun = mlbuild("init", "--name", "digits")
    assert "3 folders with 72 WAV files" in begun.out
    build = _built(mlbuild, "digits")
    text = (with_torch / "pipelines/digits.yaml").read_text()
    assert "sample_rate: 8000" in text
    assert (build / "package/Digits/Package.swift").is_file()


@pytest.mark.campaign
def test_a_model_that_exists_is_held_against_itself(with_torch: Path, mlbuild: Run) -> None:
    _some(DATA / "dogs", with_torch / "data/photos", classes=3, each=6)
    assert mlbuild("init", "--name", "dogs").code == 0
    made = _built(mlbuild, "dogs")
    shutil.copytree(next((made / "convert").glob("*.mlpackage")), with_torch / "Net.mlpackage")
    assert mlbuild("init", "--name", "theirs", "--model", "Net.mlpackage").code == 0
    build = _built(mlbuild, "theirs")
    assert json.loads((build / "compressed/metrics.json").read_text())["cosine"] > 0.95
