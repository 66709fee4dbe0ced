"""Attacks with other releases, with every digest recomputed, and on the repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from mlbuild.release.checking.identity import Asked
from tests.release.attacks_on_files import notes, stripped
from tests.release.made import git
from tests.release.scene import NETWORK, OTHER_FILES, UNSIGNED, WEIGHTS, Scene, attack, flip

# --- other releases -----------------------------------------------------------------------------


@attack(
    "the manifest of another model",
    "identity: manifest.json: name: the folder above is named after another model",
    seen="identity",
)
def manifest_of_another(scene: Scene) -> None:
    shutil.copy(scene.cats / "manifest.json", scene.file("manifest.json"))


@attack(
    "the manifest of an older release",
    "identity: manifest.json: release: the folder is named after another release",
    seen="identity",
)
def manifest_of_older(scene: Scene) -> None:
    shutil.copy(scene.older / "manifest.json", scene.file("manifest.json"))


def _replace(scene: Scene, source: Path) -> None:
    shutil.rmtree(scene.folder)
    shutil.copytree(source, scene.folder)


def _elsewhere(scene: Scene, source: Path) -> None:
    """In a folder whose name tells nothing."""
    shutil.rmtree(scene.folder)
    shutil.copytree(source, scene.team.root / "download")
    scene.folder.symlink_to(scene.team.root / "download")


@attack(
    "a whole release of another model, genuine, in the place of this one (`--name dogs`)",
    "identity: manifest.json: name: this is a release of another model",
    asked=Asked(name="dogs"),
    seen="identity",
)
def another_model(scene: Scene) -> None:
    _elsewhere(scene, scene.cats)


@attack(
    "an older release, genuine, played again (`--at-least 2.0.0`)",
    "identity: manifest.json: release: this is an older release",
    asked=Asked(at_least="2.0.0"),
    seen="identity",
)
def replayed(scene: Scene) -> None:
    _elsewhere(scene, scene.older)


@attack(
    "an older release, genuine, in the folder of the newer one",
    "identity: manifest.json: release: the folder is named after another release",
    seen="identity",
)
def in_its_folder(scene: Scene) -> None:
    _replace(scene, scene.older)


@attack("the model of the release before, everything else of this one", OTHER_FILES + NETWORK)
def model_of_older(scene: Scene) -> None:
    shutil.copy(scene.older / NETWORK, scene.file(NETWORK))


# --- everything recomputed ----------------------------------------------------------------------


@attack(
    "the weights changed and every digest recomputed",
    OTHER_FILES + "README.md, " + WEIGHTS,
    seen="signature",
)
def recomputed(scene: Scene) -> None:
    flip(scene.file(WEIGHTS), 4242)
    scene.recompute()


@attack("the same, and the signature taken away", UNSIGNED, project="tag", alone=None)
def recomputed_and_stripped(scene: Scene) -> None:
    recomputed(scene)
    stripped(scene)


@attack(
    "a sentence of the release notes rewritten, recomputed, the signature taken away",
    UNSIGNED,
    project="tag",
    alone=None,
)
def notes_rewritten(scene: Scene) -> None:
    notes(scene)
    scene.recompute()
    stripped(scene)


@attack(
    "the model of the release before, recomputed, the signature taken away",
    UNSIGNED,
    project="tag",
    alone=None,
)
def model_of_older_recomputed(scene: Scene) -> None:
    model_of_older(scene)
    scene.recompute()
    stripped(scene)


@attack(
    "the version raised in manifest, card and bill of materials, the signature taken away",
    UNSIGNED,
    project="tag",
    alone=None,
)
def raised(scene: Scene) -> None:
    for path in scene.folder.iterdir():
        if path.is_file():
            path.write_text(path.read_text("utf-8").replace("2.0.0", "9.0.0"), "utf-8")
    scene.recompute()
    stripped(scene)
    scene.folder.rename(scene.folder.with_name("v9.0.0"))
    scene.folder.symlink_to(scene.folder.with_name("v9.0.0"))


# --- the manifest -------------------------------------------------------------------------------


@attack(
    "a path in the manifest that leads outside",
    "manifest: manifest.json: files[0].path: a file of the release cannot lie there: "
    "it leads outside of the folder",
    seen="manifest",
)
def traversal(scene: Scene) -> None:
    scene.manifest(lambda m: m["files"][0].update(path="../../../../etc/passwd"))


@attack(
    "an absolute path in the manifest",
    "manifest: manifest.json: files[0].path: a file of the release cannot lie there: "
    "it is absolute",
    seen="manifest",
)
def absolute(scene: Scene) -> None:
    scene.manifest(lambda m: m["files"][0].update(path="/etc/passwd"))


@attack(
    "a file listed twice, with two digests",
    "manifest: manifest.json: files: NOTES.md is listed 2 times",
    seen="manifest",
)
def listed_twice(scene: Scene) -> None:
    scene.manifest(lambda m: m["files"].append(m["files"][0] | {"sha256": "0" * 64}))


@attack(
    "a key twice in the manifest, so that two readers read two versions",
    'manifest: manifest.json: has the key "release" twice in one object',
    seen="manifest",
)
def key_twice(scene: Scene) -> None:
    text = scene.file("manifest.json").read_text("utf-8")
    line = '  "release": "2.0.0"'
    assert line in text
    scene.file("manifest.json").write_text(text.replace(line, f'  "release": "9.0.0",\n{line}'))


@attack(
    "a manifest that is nested 100,000 deep",
    "manifest: manifest.json: is nested too deeply",
    seen="manifest",
)
def deep(scene: Scene) -> None:
    scene.file("manifest.json").write_text("[" * 100_000 + "]" * 100_000)


@attack("a manifest of 65 MB", "manifest: manifest.json: is larger than 64 MiB", seen="manifest")
def huge(scene: Scene) -> None:
    with scene.file("manifest.json").open("ab") as stream:
        stream.write(b" " * (65 << 20))


@attack(
    "half a manifest",
    "manifest: manifest.json: is not JSON: line 36, column 9: Unterminated string starting at",
    seen="manifest",
)
def half(scene: Scene) -> None:
    os.truncate(scene.file("manifest.json"), 1000)


@attack(
    "the manifest of a layout that does not exist yet",
    "manifest: manifest.json: version: the release has layout 2, and this mlbuild "
    "knows layouts up to 1",
    seen="manifest",
)
def newer_layout(scene: Scene) -> None:
    scene.manifest(lambda m: m.update(version=2))


@attack("no manifest", "manifest: manifest.json: is not there", seen="manifest")
def no_manifest(scene: Scene) -> None:
    scene.file("manifest.json").unlink()


@attack(
    "a gate that did not hold written to have held, the signature taken away", UNSIGNED, seen="gate"
)
def gate_rewritten(scene: Scene) -> None:
    def hold(manifest: Any) -> None:
        for gate in manifest["gates"]:
            gate.update(ok=True, waiver=None)

    scene.manifest(hold)
    stripped(scene)


@attack(
    "a gate that did not hold, and the reason for it taken away, and the signature",
    UNSIGNED,
    seen="gate",
)
def waiver_taken(scene: Scene) -> None:
    def bare(manifest: Any) -> None:
        manifest["waivers"] = []
        for gate in manifest["gates"]:
            gate["waiver"] = None

    scene.manifest(bare)
    stripped(scene)


# --- documents ----------------------------------------------------------------------------------


def _of_older(scene: Scene, name: str) -> None:
    shutil.copy(scene.older / name, scene.file(name))
    scene.recompute()
    stripped(scene)


@attack(
    "the provenance of another build, recomputed, the signature taken away",
    UNSIGNED,
    seen="provenance",
)
def provenance_of_older(scene: Scene) -> None:
    _of_older(scene, "provenance.json")


@attack(
    "the bill of materials of another build, recomputed, the signature taken away",
    UNSIGNED,
    seen="bom",
)
def bom_of_older(scene: Scene) -> None:
    _of_older(scene, "bom.cdx.json")


@attack("the card of another release, recomputed, the signature taken away", UNSIGNED, seen="card")
def card_of_older(scene: Scene) -> None:
    _of_older(scene, "README.md")


# --- the repository -----------------------------------------------------------------------------


@attack(
    "the tag moved to another commit",
    "tag: dogs@v2.0.0: the tag points to another commit than the manifest names",
    in_project=True,
    project="tag",
    alone=None,
)
def tag_moved(scene: Scene) -> None:
    git(scene.team.root, "tag", "-f", "dogs@v2.0.0", "dogs@v1.1.0")


@attack(
    "a release that nobody tagged",
    "tag: dogs@v2.0.0: this repository has no such tag",
    in_project=True,
    project="tag",
    alone=None,
)
def untagged(scene: Scene) -> None:
    git(scene.team.root, "tag", "-d", "dogs@v2.0.0")


@attack(
    "a release that the team withdrew",
    "tag: dogs@v2.0.0: the release was withdrawn: there is a tag dogs@v2.0.0!",
    in_project=True,
    project="tag",
    alone=None,
)
def withdrawn(scene: Scene) -> None:
    git(scene.team.root, "tag", "dogs@v2.0.0!", "dogs@v2.0.0")
