"""A release held against its repository; whose signature its pipelines ask for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbuild.errors import PipelineError, UsageError
from mlbuild.release.checking.keys import WithIdentity, WithKey
from mlbuild.release.checking.release import check, checked
from mlbuild.release.expected import releasing, signer_of
from mlbuild.release.manifest_reading import read_manifest
from tests.release.made import Team, git, team
from tests.release.scene import MODEL, Scene

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Team:
    return team(tmp_path_factory.mktemp("team") / "project")


@pytest.fixture
def scene(made: Team, tmp_path: Path) -> Scene:
    """An unsigned copy of dogs 2.0.0; the project is the team's own."""
    shutil.copytree(made.release(), tmp_path / "v2.0.0")
    (tmp_path / "v2.0.0/model.sig").unlink()
    return Scene(tmp_path / "v2.0.0", made)


def told(scene: Scene, root: Path | None = None) -> list[str]:
    """Each finding in one line: what it is about, where, what."""
    return [finding.lines()[0] for finding in check(scene.folder, root=root)]


def in_artifact(**fields: object) -> Change:
    return lambda m: m["artifacts"][0].update(fields)


# --- the repository -----------------------------------------------------------------------------


@pytest.fixture
def clone(made: Team, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", str(made.root), "clone")
    return tmp_path / "clone"


def test_a_release_agrees_with_a_clone_of_its_repository(scene: Scene, clone: Path) -> None:
    assert told(scene, clone) == []


def test_where_gto_made_the_tag_the_ledger_alone_tells_what_was_built(
    scene: Scene, clone: Path
) -> None:
    git(clone, "tag", "-f", "-a", "-m", "made by hand", "dogs@v2.0.0", "dogs@v2.0.0^{}")
    assert told(scene, clone) == []
    scene.file(f"{MODEL}/Manifest.json").write_text("{}")
    scene.recompute()
    (line,) = told(scene, clone)
    assert line.startswith("ledger: dvc.lock at ")
    assert line.endswith("stage best made another model than model")


def test_a_tag_of_mlbuild_vouches_for_every_byte_without_a_signature(
    scene: Scene, clone: Path
) -> None:
    scene.file("NOTES.md").write_text("Better than ever.\n")
    scene.recompute()
    assert told(scene) == []
    assert told(scene, clone) == [
        "tag: dogs@v2.0.0: the tag was made for another manifest, and so for another release folder"
    ]


def test_a_commit_that_is_not_in_the_repository(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    git(tmp_path / "other", "init", "-q", ".")
    tag, ledger = told(scene, tmp_path / "other")
    assert tag == "tag: dogs@v2.0.0: this repository has no such tag"
    assert ledger.startswith("ledger: manifest.json: commit: the commit is not in this repository:")


def test_a_commit_without_a_ledger(scene: Scene, clone: Path) -> None:
    git(clone, "checkout", "-q", "--orphan", "bare")
    git(clone, "rm", "-q", "-r", "-f", ".")
    git(clone, "commit", "-q", "--allow-empty", "-m", "nothing")
    commit = git(clone, "rev-parse", "HEAD")
    scene.manifest(lambda m: m.update(commit=commit))
    lines = told(scene, clone)
    assert f"ledger: dvc.lock at {commit[:12]}: the commit has no dvc.lock" in lines
    assert "tag: dogs@v2.0.0: the tag points to another commit than the manifest names" in lines


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (in_artifact(key="0" * 64), "no stage best with the key that made model"),
        (in_artifact(stage="worst"), "no stage worst with the key that made model"),
        (in_artifact(output="report"), "stage best made another report than model"),
    ],
    ids=["key", "stage", "output"],
)
def test_an_artifact_that_the_ledger_does_not_have(
    scene: Scene, made: Team, change: Change, what: str
) -> None:
    scene.manifest(change)
    commit = read_manifest(scene.folder).commit[:12]
    assert f"ledger: dvc.lock at {commit}: {what}" in told(scene, made.root)


def test_a_ledger_that_a_merge_has_spoiled_vouches_for_nothing(scene: Scene, clone: Path) -> None:
    lock = clone / "dvc.lock"
    lock.write_text(git(clone, "show", "dogs@v2.0.0:dvc.lock").replace("key: ", "key: [", 1))
    git(clone, "commit", "-q", "-a", "-m", "spoiled")
    git(clone, "tag", "-f", "dogs@v2.0.0")
    scene.manifest(lambda m: m.update(commit=git(clone, "rev-parse", "HEAD")))
    assert any("no stage best with the key that made model" in line for line in told(scene, clone))


# --- whose signature ----------------------------------------------------------------------------

RELEASE = "release: {artifacts: {model: a.o}, sign: {key_env: K, public_key: keys/release.pub}}\n"
NAMED = '{name: "${{ params.n }}", art'


def pipeline(folder: Path, text: str, name: str = "p.yaml") -> Path:
    (folder / name).write_text(f"version: 1\n{text}")
    return folder / name


@pytest.mark.parametrize(
    ("text", "asked", "found"),
    [
        (f"name: Dogs\n{RELEASE}", "dogs", True),
        (f"name: My Dogs\n{RELEASE}".replace("My Dogs", "My.Dogs"), "my-dogs", True),
        (RELEASE, "p", True),
        (f"name: x\n{RELEASE}".replace("{art", "{name: dogs, art"), "dogs", True),
        (f"params: {{n: dogs}}\n{RELEASE}".replace("{art", NAMED), "dogs", True),
        (f"name: dogs\n{RELEASE}", "cats", False),
        ("name: dogs\n", "dogs", False),
    ],
    ids=["name", "fallen", "file", "said", "parameter", "another", "no release"],
)  # fmt: skip
def test_the_pipeline_that_releases_a_name_is_found(
    tmp_path: Path, text: str, asked: str, found: bool
) -> None:
    file = pipeline(tmp_path, text)
    told = releasing([file], asked)
    assert (told is not None) == found
    if told:
        assert told.sign == {"key_env": "K", "public_key": "keys/release.pub"}


def test_a_broken_pipeline_matters_only_where_no_other_releases_the_name(tmp_path: Path) -> None:
    broken = pipeline(tmp_path, "release: [\n", "broken.yaml")
    twice = pipeline(tmp_path, f"name: cats\n{RELEASE}{RELEASE}", "twice.yaml")
    good = pipeline(tmp_path, f"name: dogs\n{RELEASE}", "good.yaml")
    assert releasing([broken, twice, good], "dogs") is not None
    for file in (broken, twice):
        with pytest.raises(PipelineError):
            releasing([file, good], "cats")


def test_who_signs_is_told_by_a_key_or_an_identity(made: Team) -> None:
    signer = signer_of({"key_env": "K", "public_key": "keys/release.pub"}, made.root)
    assert isinstance(signer, WithKey)
    assert signer.origin == "keys/release.pub"
    keyless = {"keyless": True, "identity": "me", "issuer": "them"}
    assert signer_of(keyless, made.root) == WithIdentity("me", "them")
    assert signer_of({"keyless": True}, made.root) is None
    assert signer_of({"key_env": "K"}, made.root) is None


def test_a_key_that_depends_on_a_parameter_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        signer_of({"public_key": "keys/${{ params.team }}.pub"}, tmp_path)
    assert caught.value.render() == (
        "`release: sign: public_key:` depends on a parameter: keys/${{ params.team }}.pub\n"
        "  hint: name the public key itself: --key"
    )


def test_progress_is_told_of_every_file(scene: Scene) -> None:
    heard: list[tuple[float, float | None, str]] = []
    found = checked(scene.folder, progress=lambda *told: heard.append(told))
    assert len(heard) == found.files == 11
    assert heard[-1][:2] == (10, 11)
