"""CI, played with a real classifier of photographs: learnt, converted, packaged, released twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.played import Played, begin
from tests.starting.comments import serving

PHOTOS = ROOT.parent / "shared/data/dogs"
BREEDS = ("beagle", "boxer", "pug", "samoyed")


def _begun(folder: Path, toolchains: Path, api: str) -> Played:
    """A project of `mlbuild init`, with the lines on publishing and signing made true."""
    world = begin(folder, api)
    (folder / "cache/toolchains").symlink_to(toolchains)
    for breed in BREEDS:
        shutil.copytree(PHOTOS / breed, world.project / "data/photos" / breed)
    given = ["--name", "dogs", "--data", "data/photos", "--remote", "../store", "--ci", "github"]
    world.quietly("mlbuild", "init", *given)
    file = world.project / "pipelines/dogs.yaml"
    text = file.read_text()
    for line in (
        "  # publish: [{folder: ../releases}]",
        "  # sign: {key_env: MLBUILD_SIGNING_KEY, public_key: keys/release.pub}",
        "  # selftest: ",
    ):
        assert line in text
        text = text.replace(line, line.replace("# ", "", 1))
    text = text.replace("folder: ../releases", "folder: ../shelf")
    file.write_text(text.replace("keys/release.pub", "keys/release.key.pub"))
    service = world.service
    service.workflow = ".github/workflows/dogs.yml"
    service.save()
    return world


def _goes_through(world: Played, branch: str) -> None:
    world.quietly("mlbuild", "run", "pipelines/dogs.yaml")
    world.quietly("mlbuild", "push", "pipelines/dogs.yaml")
    world.branch(branch, branch)
    world.merge(branch)
    world.quietly("git", "fetch", "-q", "--tags")


@pytest.mark.toolchain
@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs the photographs in ../shared/data/dogs")
def test_a_classifier_is_released_and_then_held_against_its_release(
    torch_toolchains: Path, tmp_path: Path
) -> None:
    with serving() as comments:
        world = _begun(tmp_path, torch_toolchains, comments.address)
        _goes_through(world, "first")
        for photograph in sorted((world.project / "data/photos").glob("*/*"))[::7]:
            photograph.unlink()
        _goes_through(world, "fewer")
    told = "\n".join(world.console)
    assert [r["code"] for r in world.service.results()] == [0] * 6, told
    assert world.tags() == ["dogs@v1.0.0", "dogs@v1.1.0"]
    (comment,) = comments.held
    assert "| accuracy | accuracy |" in comment["body"]

    release = world.shelf / "dogs/v1.1.0"
    manifest = json.loads((release / "manifest.json").read_text())
    model = manifest["artifacts"][0]
    assert model["path"] == "artifacts/model/Dogs.mlpackage"
    assert sorted(model["model"]["class_labels"]) == sorted(BREEDS)
    gates = {(g["stage"], g["metric"]): g for g in manifest["gates"]}
    assert gates["accuracy", "accuracy"]["released"] is not None  # asked about today's pictures
    world.quietly("git", "clone", "-q", world.folder / "weather.git", world.other, cwd=tmp_path)
    check = f"mlbuild verify {release} --key keys/release.key.pub --name dogs --at-least 1.1.0"
    assert "v1.1.0: intact" in world.types(check, cwd=world.other)
    held = world.folder / "ci/artifacts"
    assert list(held.glob("*/selftest-dogs/*/selftest.py"))  # what a Mac would run
