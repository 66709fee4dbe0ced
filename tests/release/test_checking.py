"""What is said of a release that contradicts itself, its documents or its repository."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlbuild.errors import DataError, PipelineError, UsageError
from mlbuild.release.checking.keys import WithIdentity, WithKey
from mlbuild.release.checking.release import check, checked
from mlbuild.release.expected import releasing, signer_of
from mlbuild.release.manifest_reading import read_manifest
from tests.release.attacks import MODEL, Scene
from tests.release.made import Team, git, team

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
