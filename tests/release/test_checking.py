"""What is said of a manifest that cannot be true."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbuild.errors import DataError
from mlbuild.release.checking.release import check
from mlbuild.release.manifest_reading import read_manifest
from tests.release.made import Team, team
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


# --- the manifest -------------------------------------------------------------------------------

FILES = "manifest: manifest.json: files: "
FIRST = "manifest: manifest.json: artifacts[0]"


def in_artifact(**fields: object) -> Change:
    return lambda m: m["artifacts"][0].update(fields)


def more(path: str) -> Change:
    return lambda m: m["files"].append({"path": path, "size": 0, "sha256": "0" * 64})


ROWS: dict[str, tuple[Change, list[str]]] = {
    "no name": (
        lambda m: m.pop("name"),
        ["manifest: manifest.json: name: field required"],
    ),
    "a name in capitals": (
        lambda m: m.update(name="Dogs"),
        [
            "manifest: manifest.json: name: no name of a release: small letters, digits, '-', '_' "
            "and '/'"
        ],
    ),
    "a name that is an option of git": (
        lambda m: m.update(name="--upload-pack=x"),
        [
            "manifest: manifest.json: name: no name of a release: small letters, digits, '-', '_' "
            "and '/'"
        ],
    ),
    "no version": (
        lambda m: m.update(release="two"),
        ["manifest: manifest.json: release: no semantic version, such as 1.2.0"],
    ),
    "a number as a version": (
        lambda m: m.update(release=2),
        ["manifest: manifest.json: release: input should be a valid string"],
    ),
    "a commit that is an expression": (
        lambda m: m.update(commit="HEAD~1"),
        [
            "manifest: manifest.json: commit: string should match pattern "
            "'^([0-9a-f]{40}|[0-9a-f]{64})$'"
        ],
    ),
    "another tag": (
        lambda m: m.update(tag="dogs@v1.1.0"),
        [
            "manifest: manifest.json: tag: is not the tag of this release",
            "bom: bom.cdx.json: metadata.properties: mlbuild:tag: is that of another release",
        ],
    ),
    "a later release before it": (
        lambda m: m.update(previous="2.0.0"),
        ["manifest: manifest.json: previous: the release before is not before"],
    ),
    "no layout": (
        lambda m: m.pop("version"),
        ["manifest: manifest.json: version: does not say which layout it has"],
    ),
    "true as a layout": (
        lambda m: m.update(version=True),
        ["manifest: manifest.json: version: does not say which layout it has"],
    ),
    "a layout of the future": (
        lambda m: m.update(version=7, name=1),
        [
            "manifest: manifest.json: version: the release has layout 7, and this mlbuild knows "
            "layouts up to 1"
        ],
    ),
    "no artifacts": (
        lambda m: m.update(artifacts=[]),
        [
            "manifest: manifest.json: artifacts: list should have at least 1 item after "
            "validation, not 0"
        ],
    ),
    "several things at once": (
        lambda m: m.update(name=1, commit=None, gates={}),
        [
            "manifest: manifest.json: name: input should be a valid string",
            "manifest: manifest.json: commit: input should be a valid string",
            "manifest: manifest.json: gates: input should be a valid list",
        ],
    ),
    "an artifact elsewhere": (
        in_artifact(path="model/Dogs.mlpackage"),
        [
            f"{FIRST}.path: an artifact lies in the folder of its name",
            f"{FIRST}.files: the files of model are not those listed under model/Dogs.mlpackage",
            f"{FIRST}.size: the size of model is not that of its files",
            f"artifact: {FIRST.partition(' ')[2]}.md5: the bytes of model/Dogs.mlpackage are not "
            "those that the build recorded",
        ],
    ),
    "an artifact of another size": (
        in_artifact(size=1),
        [f"{FIRST}.size: the size of model is not that of its files"],
    ),
    "an artifact's file in another": (
        lambda m: m["artifacts"][0]["files"].append("artifacts/package/Dogs/Package.swift"),
        [f"{FIRST}.files: the files of model are not those listed under {MODEL}"],
    ),
    "two artifacts of one name": (
        lambda m: m["artifacts"].append(m["artifacts"][0]),
        ["manifest: manifest.json: artifacts: two artifacts are named model"],
    ),
    "a negative size": (
        lambda m: m["files"][0].update(size=-1),
        [
            "manifest: manifest.json: files[0].size: input should be greater than or equal to 0",
        ],
    ),
    "half a digest": (
        lambda m: m["files"][0].update(sha256="0" * 32),
        ["manifest: manifest.json: files[0].sha256: string should match pattern '^[0-9a-f]{64}$'"],
    ),
    "a digest with a line break": (
        lambda m: m["files"][0].update(sha256="0" * 64 + "\n"),
        ["manifest: manifest.json: files[0].sha256: string should match pattern '^[0-9a-f]{64}$'"],
    ),
    "itself in the list": (
        more("manifest.json"),
        [
            f"{FILES}manifest.json cannot be listed",
            f"{FILES}manifest.json belongs to no artifact and is no document of a release",
            "file: manifest.json: has another size",
        ],
    ),
    "the signature in the list": (
        more("model.sig"),
        [
            f"{FILES}model.sig cannot be listed",
            f"{FILES}model.sig belongs to no artifact and is no document of a release",
            "file: model.sig: the manifest lists it, and it is not there",
        ],
    ),
    "two names that are one": (
        more("notes.md"),
        [
            f"{FILES}NOTES.md and notes.md are one and the same where case does not count",
            f"{FILES}notes.md belongs to no artifact and is no document of a release",
            "file: notes.md: the manifest lists it, and it is not there",
        ],
    ),
    "a file of no artifact": (
        more("artifacts/other/x"),
        [
            f"{FILES}artifacts/other/x belongs to no artifact and is no document of a release",
            "file: artifacts/other/x: the manifest lists it, and it is not there",
        ],
    ),
    "a gate that did not hold": (
        lambda m: m["gates"][0].update(ok=False),
        [
            "gate: manifest.json: gates[0]: the gate on validate[bits=6].psnr_db did not hold, and "
            "nobody gave a reason to waive it"
        ],
    ),
    "a waiver without a reason": (
        lambda m: (m["gates"][2].update(waiver=" "), m["waivers"][0].update(reason=" ")),
        [
            "gate: manifest.json: gates[2]: the gate on accuracy.recall.collie did not hold, and "
            "nobody gave a reason to waive it"
        ],
    ),
    "a waiver that no gate has": (
        lambda m: m["waivers"].append({"gate": "a.b", "reason": "why not"}),
        ["gate: manifest.json: waivers: the waivers are not those of the gates"],
    ),
    "a value below the least": (
        lambda m: m["gates"][0].update(value=39.9),
        [
            "gate: manifest.json: gates[0]: the gate on validate[bits=6].psnr_db is said to hold, "
            "and does not"
        ],
    ),
    "a value above the most": (
        lambda m: m["gates"][0].update(limits={"max": 43}),
        [
            "gate: manifest.json: gates[0]: the gate on validate[bits=6].psnr_db is said to hold, "
            "and does not"
        ],
    ),
    "a limit that is no number": (lambda m: m["gates"][0].update(limits={"min": "no"}), []),
    "a gate without a value": (lambda m: m["gates"][0].update(value=None), []),
    "a field that is not known yet": (lambda m: m.update(motto="bark"), []),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_manifest_that_cannot_be_true(scene: Scene, name: str) -> None:
    change, expected = ROWS[name]
    scene.manifest(change)
    assert told(scene) == expected


@pytest.mark.parametrize(
    "spelled",
    [
        lambda text: json.dumps(json.loads(text)),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace('"name": "dogs"', '"name":  "dogs"', 1),
        lambda text: text + "\n",
    ],
    ids=["one line", "other line ends", "a space", "a line more"],
)
def test_a_manifest_has_one_spelling(scene: Scene, spelled: Callable[[str], str]) -> None:
    file = scene.file("manifest.json")
    file.write_bytes(spelled(file.read_text("utf-8")).encode())
    assert told(scene) == [
        "manifest: manifest.json: is not spelled as mlbuild writes it: something was edited"
    ]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("downloads", []),
        ("releases/prod/latest", []),
        ("releases/prod/v2.0.0", []),
        ("v1.9.0", ["release: the folder is named after another release"]),
        ("project/releases/dogs/v2.0.0", []),
        ("project/releases/cats/v2.0.0", ["name: the folder above is named after another model"]),
    ],
)
def test_the_names_of_folders_count_where_they_name_releases(
    scene: Scene, tmp_path: Path, place: str, expected: list[str]
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/dvc.lock").touch()
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    moved = Scene(scene.folder.rename(tmp_path / place), scene.team)
    assert told(moved) == [f"identity: manifest.json: {line}" for line in expected]


def test_a_manifest_that_is_no_object(scene: Scene) -> None:
    scene.file("manifest.json").write_text("[]\n")
    assert told(scene) == ["manifest: manifest.json: is not an object"]


def test_a_link_is_no_manifest(scene: Scene) -> None:
    scene.file("manifest.json").rename(scene.folder.parent / "manifest.json")
    scene.file("manifest.json").symlink_to("../manifest.json")
    assert told(scene) == ["manifest: manifest.json: is a link to ../manifest.json"]


def test_reading_a_manifest_for_other_ends_raises_everything_that_is_wrong(scene: Scene) -> None:
    assert read_manifest(scene.folder).release == "2.0.0"
    scene.manifest(lambda m: m.update(name=1, files=None))
    with pytest.raises(DataError) as caught:
        read_manifest(scene.folder)
    again = (
        "  hint: this is not what mlbuild wrote: get the release again from where it was published"
    )
    assert caught.value.render().splitlines() == [
        f"{scene.folder}/manifest.json: name: input should be a valid string",
        again,
        f"{scene.folder}/manifest.json: files: input should be a valid list",
        again,
    ]
    scene.file("manifest.json").unlink()
    with pytest.raises(DataError, match=r"manifest\.json cannot be read: No such file"):
        read_manifest(scene.folder)
