"""What is said of documents of a release that are about something else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbuild.release.checking.release import check
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


# --- documents ----------------------------------------------------------------------------------


def rewritten(scene: Scene, name: str, change: Change) -> None:
    """Changes a document and lists its new digest in the manifest, as an attacker would."""
    value = json.loads(scene.file(name).read_text("utf-8"))
    change(value)
    scene.file(name).write_text(json.dumps(value), "utf-8")
    scene.recompute()


def definition(statement: Any) -> Any:
    return statement["predicate"]["buildDefinition"]


def dependency(statement: Any, name: str) -> Any:
    rows = definition(statement)["resolvedDependencies"]
    return next(row for row in rows if row["name"] == name)


IN = "provenance: provenance.json: predicate.buildDefinition."
PROVENANCE: dict[str, tuple[Change, str]] = {
    "another kind of statement": (
        lambda p: p.update(predicateType="https://slsa.dev/verification_summary/v1"),
        "provenance: provenance.json: predicateType: is no build provenance",
    ),
    "a subject left out": (
        lambda p: p["subject"].pop(0),
        "provenance: provenance.json: subject: tells how other files were made than those that lie "
        f"here: {MODEL}/Data/com.apple.CoreML/model.mlmodel",
    ),
    "a subject more": (
        lambda p: p["subject"].append({"name": "evil", "digest": {"sha256": "0" * 64}}),
        "provenance: provenance.json: subject: tells how other files were made than those that lie "
        "here: evil",
    ),
    "another digest": (
        lambda p: p["subject"][0]["digest"].update(sha256="0" * 64),
        "provenance: provenance.json: subject: tells how other files were made than those that lie "
        f"here: {MODEL}/Data/com.apple.CoreML/model.mlmodel",
    ),
    "another commit": (
        lambda p: dependency(p, "source")["digest"].update(gitCommit="0" * 40),
        f"{IN}resolvedDependencies: is that of another build",
    ),
    "no dependencies": (
        lambda p: definition(p).pop("resolvedDependencies"),
        f"{IN}resolvedDependencies: is that of another build",
    ),
    "other data": (
        lambda p: dependency(p, "dataset photos").update(digest={"md5": "0" * 32}),
        f"{IN}resolvedDependencies: tells of other data than the manifest: dataset photos",
    ),
    "another parameter": (
        lambda p: definition(p)["externalParameters"]["params"].update(bits=4),
        f"{IN}externalParameters.params: is that of another build",
    ),
    "another profile": (
        lambda p: definition(p)["externalParameters"].update(profiles=[]),
        f"{IN}externalParameters.profiles: is that of another build",
    ),
    "another stage": (
        lambda p: definition(p)["internalParameters"]["stages"][0].update(key="0"),
        f"{IN}internalParameters.stages: tells of other stages than the manifest: split",
    ),
}


@pytest.mark.parametrize("name", PROVENANCE)
def test_a_provenance_of_something_else(scene: Scene, name: str) -> None:
    change, expected = PROVENANCE[name]
    rewritten(scene, "provenance.json", change)
    assert told(scene)[0] == expected


def first_file(bom: Any) -> Any:
    return bom["metadata"]["component"]["components"][0]["components"][0]


OTHERS = "bom: bom.cdx.json: components: describes other files than those that lie here: "
BOM: dict[str, tuple[Change, str]] = {
    "another format": (
        lambda b: b.update(specVersion="1.4"),
        "bom: bom.cdx.json: specVersion: is no such document",
    ),
    "another model": (
        lambda b: b["metadata"]["component"].update(name="cats"),
        "bom: bom.cdx.json: metadata.component.name: is that of another release",
    ),
    "another version": (
        lambda b: b["metadata"]["component"].update(version="1.1.0"),
        "bom: bom.cdx.json: metadata.component.version: is that of another release",
    ),
    "another commit": (
        lambda b: b["metadata"]["properties"][0].update(value="0" * 40),
        "bom: bom.cdx.json: metadata.properties: mlbuild:commit: is that of another release",
    ),
    "another digest": (
        lambda b: first_file(b)["hashes"][0].update(content="0" * 64),
        f"{OTHERS}{MODEL}/Data/com.apple.CoreML/model.mlmodel",
    ),
    "a file more": (
        lambda b: b["components"].append({"type": "file", "name": "evil"}),
        f"{OTHERS}evil",
    ),
    "two digests": (
        lambda b: first_file(b)["hashes"].append({"alg": "SHA-256", "content": "0" * 64}),
        f"{OTHERS}{MODEL}/Data/com.apple.CoreML/model.mlmodel",
    ),
    "no components": (
        lambda b: b["metadata"].pop("component"),
        "bom: bom.cdx.json: metadata.component.name: is that of another release",
    ),
}


@pytest.mark.parametrize("name", BOM)
def test_a_bill_of_materials_of_something_else(scene: Scene, name: str) -> None:
    change, expected = BOM[name]
    rewritten(scene, "bom.cdx.json", change)
    assert told(scene)[0] == expected


@pytest.mark.parametrize("name", ["provenance.json", "bom.cdx.json", "README.md"])
def test_a_document_that_was_never_there(scene: Scene, name: str) -> None:
    scene.file(name).unlink()
    scene.manifest(lambda m: m.update(files=[f for f in m["files"] if f["path"] != name]))
    about, what = {
        "provenance.json": ("provenance", "is not there"),
        "bom.cdx.json": ("bom", "is not there"),
        "README.md": ("card", "there is no model card"),
    }[name]
    assert told(scene) == [f"{about}: {name}: {what}"]


@pytest.mark.parametrize("name", ["provenance.json", "bom.cdx.json"])
@pytest.mark.parametrize(
    ("text", "why"),
    [("[]", "is not an object"), ('{"a": 1, "a": 2}', 'has the key "a" twice in one object')],
)
def test_a_document_that_is_none(scene: Scene, name: str, text: str, why: str) -> None:
    scene.file(name).write_text(text)
    scene.recompute()
    assert told(scene) == [f"{name.partition('.')[0]}: {name}: {why}"]


CARD: dict[str, tuple[Callable[[str], str], str]] = {
    "no front matter": (
        lambda t: t.partition("---\n\n")[2],
        "the model card cannot be read: it does not begin with front matter between two lines of "
        "---",
    ),
    "no YAML": (
        lambda t: t.replace("---\n", "---\n[", 1),
        "the model card cannot be read: its front matter is not YAML: while parsing a flow "
        "sequence",
    ),
    "a list": (
        lambda t: "---\n- a\n---\n" + t.partition("---\n\n")[2],
        "the model card cannot be read: its front matter is no map",
    ),
    "an object of Python": (
        lambda t: t.replace("---\n", "---\nx: !!python/object/apply:os.getcwd []\n", 1),
        "the model card cannot be read: its front matter is not YAML: could not determine a "
        "constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.getcwd'",
    ),
    "results of another model": (
        lambda t: t.replace("- name: dogs\n", "- name: cats\n"),
        "the results of the card are those of another model",
    ),
    "another version": (
        lambda t: t.replace("# Dogs 2.0.0", "# Dogs 1.1.0"),
        "the card is that of another release",
    ),
    "no title": (
        lambda t: t.replace("# Dogs 2.0.0", "Dogs 2.0.0"),
        "the card is that of another release",
    ),
}


@pytest.mark.parametrize("name", CARD)
def test_a_card_of_something_else(scene: Scene, name: str) -> None:
    change, expected = CARD[name]
    text = scene.file("README.md").read_text("utf-8")
    assert change(text) != text
    scene.file("README.md").write_text(change(text), "utf-8")
    scene.recompute()
    assert told(scene) == [f"card: README.md: {expected}"]


def test_a_card_that_is_no_text(scene: Scene) -> None:
    scene.file("README.md").write_bytes(b"---\nname: \xff\n---\n")
    scene.recompute()
    (line,) = told(scene)
    assert line.startswith("card: README.md: the model card cannot be read: 'utf-8' codec")
