"""The pipelines that come with mlbuild: all profiles resolve, and digits keeps its word."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlbuild.build import Pipeline
from mlbuild.cli.main import main
from mlbuild.pipeline.load import load
from tests.conftest import ROOT, Done

Run = Callable[..., Done]

PHOTOS = ROOT.parent / "shared/data/dogs"
FILES = sorted(p for p in (ROOT / "pipelines").glob("*.yaml") if ".lock." not in p.name)
# What a profile is told on the command line, because the checkout does not bring it.
SETS = {
    ("dogs", "photos"): "photos={folder}",
    ("similarity", "dogs"): "photos={folder}",
    ("sounds", ""): "sounds={folder}",
    ("spam", ""): "emails={folder}",
}


def _profiles(file: Path) -> list[str]:
    section = load(file).root.get("profiles")
    return [] if section is None else list(section.entries)


def _cases() -> list[tuple[Path, str | None]]:
    return [(file, profile) for file in FILES for profile in (None, *_profiles(file))]


@pytest.mark.parametrize(
    ("file", "profile"), _cases(), ids=[f"{f.stem}-{p or 'default'}" for f, p in _cases()]
)
def test_a_shipped_pipeline_resolves(file: Path, profile: str | None, tmp_path: Path) -> None:
    given = SETS.get((file.stem, profile or ""))
    resolved = Pipeline.load(
        file,
        profiles=[profile] if profile else [],
        sets=[given.format(folder=tmp_path)] if given else [],
    ).resolved
    assert resolved.name == file.stem
    assert any(stage.base == "package" for stage in resolved.stages)


def test_the_pipeline_in_the_readme_resolves(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "readme.yaml").write_text(text, encoding="utf-8")
    names = [stage.name for stage in Pipeline.load(tmp_path / "readme.yaml").resolved.stages]
    assert {"quantize[bits=6]", "validate[bits=8]", "package"} <= set(names)


def test_the_pipeline_of_init_resolves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "app", "--name", "flowers"]) == 0
    assert Pipeline.load(tmp_path / "app/pipelines/flowers.yaml").name == "flowers"
    assert main(["init", "app", "--name", "flowers"]) == 2


@pytest.mark.toolchain
@pytest.mark.slow
def test_digits_are_learnt_checked_and_packaged(with_torch: Path, mlbuild: Run) -> None:
    text = (ROOT / "pipelines/digits.yaml").read_text(encoding="utf-8")
    (with_torch / "pipelines/digits.yaml").write_text(text, encoding="utf-8")
    done = mlbuild("run", "pipelines/digits.yaml", "--json")
    assert done.code == 0, done.out + done.err
    build = with_torch / "build/digits"
    trained = json.loads((build / "train/metrics.json").read_text())
    packaged = json.loads((build / "accuracy/metrics.json").read_text())
    for held_out in (trained["accuracy"], packaged["accuracy"]):
        assert held_out["n"] == 1000
        assert held_out["value"] >= 0.97
    assert (build / "package/Digits/Package.swift").is_file()

    again = mlbuild("run", "pipelines/digits.yaml", "--json")
    assert again.code == 0, again.out + again.err
    assert set(again.outcomes.values()) == {"reused"}


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs the photographs in ../shared/data/dogs")
def test_dogs_are_learnt_from_photographs_and_packaged(with_torch: Path, mlbuild: Run) -> None:
    text = (ROOT / "pipelines/dogs.yaml").read_text(encoding="utf-8")
    (with_torch / "pipelines/dogs.yaml").write_text(text, encoding="utf-8")
    profile = ("--profile", "photos", "--set", f"photos={PHOTOS}")
    done = mlbuild("run", "pipelines/dogs.yaml", *profile, "--json")
    assert done.code == 0, done.out + done.err
    build = with_torch / "build/dogs"
    trained = json.loads((build / "model/metrics.json").read_text())["accuracy"]
    assert trained["n"] == 150
    assert trained["value"] >= 0.86
    packaged = json.loads((build / "accuracy/metrics.json").read_text())
    assert packaged["agreement_top1"]["n"] == 25
    assert packaged["agreement_top1"]["value"] >= 0.9  # one tie is 0.04
    assert (build / "package/Dogs/Package.swift").is_file()


# Each is a route of its own, trained, converted, validated and packaged. All of them would take
# half an hour: CI builds one that goes through four libraries and a sample, `-m campaign` the rest.
_NEED_DATA = {"sounds", "spam"}  # of folders that no distribution brings
_TOLD_ABOVE = {"dogs", "digits"}
_ROUTES = sorted(f.stem for f in FILES if f.stem not in _NEED_DATA | _TOLD_ABOVE)
_SAMPLE = {"tabular-classical", *random.Random(5).sample(_ROUTES, 3)}


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in _SAMPLE else pytest.mark.campaign) for n in _ROUTES],
)
def test_a_route_is_built_and_then_stands(name: str, with_torch: Path, mlbuild: Run) -> None:
    shutil.copy(ROOT / f"pipelines/{name}.yaml", with_torch / "pipelines")
    shutil.copytree(ROOT / "pipelines/scripts", with_torch / "pipelines/scripts")
    # It may have to make several toolchains first.
    done = mlbuild("run", f"pipelines/{name}.yaml", "--json", timeout=2400)
    assert done.code == 0, done.out[-6000:] + done.err[-6000:]
    assert set(done.outcomes.values()) <= {"ran", "restored", "excluded"}
    assert done.outcomes["package"] == "ran"

    again = mlbuild("run", f"pipelines/{name}.yaml", "--json")
    assert again.code == 0, again.out + again.err
    assert set(again.outcomes.values()) <= {"reused", "excluded"}
