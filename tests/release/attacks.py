"""What an attacker who holds no key does to a release, one function each, and what is said of it.

The table in docs/verifying.md is made of these rows: python -m tests.release.attacks
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbuild.release.checking.identity import Asked
from mlbuild.release.signing import sign
from tests.release.keys import pair
from tests.release.made import Team, git

MODEL = "artifacts/model/Dogs.mlpackage"
WEIGHTS = f"{MODEL}/Data/com.apple.CoreML/weights/weight.bin"
NETWORK = f"{MODEL}/Data/com.apple.CoreML/model.mlmodel"
PAGE = Path(__file__).parents[2] / "docs/verifying.md"
BEGIN, END = "<!-- attacks -->\n", "<!-- /attacks -->\n"


@dataclass(frozen=True)
class Scene:
    """A copy of dogs 2.0.0 that an attacker can write to; the team's own is beside it."""

    folder: Path
    team: Team

    @property
    def older(self) -> Path:
        return self.team.release("dogs", "1.1.0")

    @property
    def cats(self) -> Path:
        return self.team.release("cats", "2.0.0")

    def file(self, path: str) -> Path:
        return self.folder / path

    def manifest(self, change: Callable[[Any], object]) -> None:
        """Rewrites the manifest in its own style."""
        value = json.loads(self.file("manifest.json").read_text("utf-8"))
        change(value)
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        self.file("manifest.json").write_text(text + "\n", "utf-8")

    def recompute(self) -> None:
        """Every digest and size, in every document, as a careful attacker would."""
        value = json.loads(self.file("manifest.json").read_text("utf-8"))
        for row in value["files"]:
            found = digest(self.file(row["path"]))
            if found != row["sha256"]:
                self._everywhere(row["sha256"], found)
        self.manifest(self._refresh)

    def _everywhere(self, old: str, new: str) -> None:
        for path in self.folder.iterdir():
            if path.is_file() and old.encode() in (data := path.read_bytes()):
                path.write_bytes(data.replace(old.encode(), new.encode()))

    def _refresh(self, manifest: Any) -> None:
        for row in manifest["files"]:
            row["size"] = self.file(row["path"]).stat().st_size
            row["sha256"] = digest(self.file(row["path"]))
        sizes = {row["path"]: row["size"] for row in manifest["files"]}
        for artifact in manifest["artifacts"]:
            artifact["size"] = sum(sizes[path] for path in artifact["files"])
            artifact["md5"] = md5_of(self.folder, artifact)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def md5_of(folder: Path, artifact: Any) -> str:
    """What DVC would record of an artifact, worked out by hand."""
    rows = sorted(
        (path.removeprefix(f"{artifact['path']}/"), (folder / path).read_bytes())
        for path in artifact["files"]
    )
    listing = [{"md5": hashlib.md5(d).hexdigest(), "relpath": r} for r, d in rows]
    return hashlib.md5(json.dumps(listing).encode()).hexdigest() + ".dir"


Play = Callable[[Scene], object]
NOTHING_ASKED = Asked()


@dataclass(frozen=True)
class Attack:
    """One row: ``said`` is how the first finding begins where the public key is at hand.

    ``project`` and ``alone`` are what the first finding is about without it: in the project's
    repository, which has tag and ledger, and with nothing but the folder; None: nothing is noticed.
    """

    name: str
    play: Play
    said: str
    project: str | None
    alone: str | None
    asked: Asked = NOTHING_ASKED
    in_project: bool = False  # it is an attack on the repository: seen there only


ATTACKS: list[Attack] = []


def attack(
    name: str,
    said: str,
    *,
    seen: str = "signature",
    project: str | None = "",
    alone: str | None = "",
    asked: Asked = NOTHING_ASKED,
    in_project: bool = False,
) -> Callable[[Play], Play]:
    def note(play: Play) -> Play:
        without = [seen if told == "" else told for told in (project, alone)]
        ATTACKS.append(Attack(name, play, said, *without, asked, in_project))
        return play

    return note


UNSIGNED = "signature: model.sig: the release is not signed, or its signature was taken away"
OTHER_FILES = "signature: model.sig: the signature is over other files than lie here: "

# --- bytes --------------------------------------------------------------------------------------


def flip(path: Path, offset: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


@attack("one bit of the weights flipped", OTHER_FILES + WEIGHTS)
def weights(scene: Scene) -> None:
    flip(scene.file(WEIGHTS), 4242)


@attack("one bit of the model card flipped", OTHER_FILES + "README.md")
def card(scene: Scene) -> None:
    flip(scene.file("README.md"), 600)


@attack("a word of the release notes exchanged", OTHER_FILES + "NOTES.md")
def notes(scene: Scene) -> None:
    text = scene.file("NOTES.md").read_text("utf-8")
    scene.file("NOTES.md").write_text(text.replace("dogs", "cats", 1).replace("2", "3", 1), "utf-8")


@attack(
    "one bit of the signature flipped",
    "signature: model.sig: the signature is forged, or was changed: the key did not sign this",
    project=None,
    alone=None,
)
def signature_bit(scene: Scene) -> None:
    value = _bundle(scene)
    (row,) = value["dsseEnvelope"]["signatures"]
    data = bytearray(base64.b64decode(row["sig"]))
    data[-1] ^= 1
    row["sig"] = base64.b64encode(data).decode()
    _write(scene, value)


@attack("the weights cut short", OTHER_FILES + WEIGHTS)
def truncated(scene: Scene) -> None:
    os.truncate(scene.file(WEIGHTS), 1000)


@attack("the weights emptied", OTHER_FILES + WEIGHTS)
def emptied(scene: Scene) -> None:
    scene.file(WEIGHTS).write_bytes(b"")


# --- files --------------------------------------------------------------------------------------


@attack("a file removed", OTHER_FILES + WEIGHTS)
def removed(scene: Scene) -> None:
    scene.file(WEIGHTS).unlink()


@attack("a file added to the model", OTHER_FILES + f"{MODEL}/evil.bin")
def added(scene: Scene) -> None:
    scene.file(f"{MODEL}/evil.bin").write_bytes(b"evil")


@attack("a file added that git would read: `.gitattributes`", OTHER_FILES + ".gitattributes")
def for_git(scene: Scene) -> None:
    scene.file(".gitattributes").write_text("* filter=evil\n")


@attack(
    "an empty folder added",
    "file: artifacts/evil: an empty folder, which no release has",
    seen="file",
)
def folder_added(scene: Scene) -> None:
    scene.file("artifacts/evil").mkdir()


@attack("a file renamed", OTHER_FILES + "NOTES.md")
def renamed(scene: Scene) -> None:
    scene.file("NOTES.md").rename(scene.file("News.md"))


@attack("a file added that is another's twin on macOS: `readme.md`", OTHER_FILES + "readme.md")
def twin(scene: Scene) -> None:
    scene.file("readme.md").write_text("Trust me.\n")


@attack("a file added whose name clears the screen", OTHER_FILES + "x\\x1b[2Jy")
def escape(scene: Scene) -> None:
    scene.file("x\x1b[2Jy").write_text("")


@attack("a link in the place of the weights, to the same bytes", OTHER_FILES + WEIGHTS)
def link(scene: Scene) -> None:
    moved = scene.team.root / "moved.bin"
    shutil.move(scene.file(WEIGHTS), moved)
    scene.file(WEIGHTS).symlink_to(moved)


@attack("a link in the place of a folder", OTHER_FILES + MODEL)
def folder_link(scene: Scene) -> None:
    moved = scene.team.root / "moved"
    shutil.move(scene.file(MODEL), moved)
    scene.file(MODEL).symlink_to(moved)


@attack("a pipe in the place of the weights, to hang the reader", OTHER_FILES + WEIGHTS)
def pipe(scene: Scene) -> None:
    scene.file(WEIGHTS).unlink()
    os.mkfifo(scene.file(WEIGHTS))


# --- the signature ------------------------------------------------------------------------------


@attack("the signature taken away", UNSIGNED, project=None, alone=None)
def stripped(scene: Scene) -> None:
    scene.file("model.sig").unlink()


@attack("the signature of an older release", OTHER_FILES + "NOTES.md")
def signature_of_older(scene: Scene) -> None:
    shutil.copy(scene.older / "model.sig", scene.file("model.sig"))


@attack(
    "signed again with the attacker's key",
    "signature: model.sig: the release was signed by somebody else",
    project=None,
    alone=None,
)
def signed_again(scene: Scene) -> None:
    sign(scene.folder, {"key_env": "K"}, {"K": pair("attacker")[0]}, scene.folder)


@attack(
    "signed again with the attacker's key, under the name of the team's",
    "signature: model.sig: the signature is forged, or was changed: the key did not sign this",
    project=None,
    alone=None,
)
def signed_in_a_name(scene: Scene) -> None:
    hint = _bundle(scene)["verificationMaterial"]["publicKey"]["hint"]
    sign(scene.folder, {"key_env": "K"}, {"K": pair("attacker")[0]}, scene.folder)
    value = _bundle(scene)
    value["verificationMaterial"]["publicKey"]["hint"] = hint
    _write(scene, value)


@attack(
    "the weights and the signed list of files exchanged, the signature kept",
    "signature: model.sig: the signature is forged, or was changed: the key did not sign this",
    seen="file",
)
def list_exchanged(scene: Scene) -> None:
    old = digest(scene.file(WEIGHTS))
    flip(scene.file(WEIGHTS), 0)
    _statement(scene, lambda text: text.replace(old, digest(scene.file(WEIGHTS))))


@attack(
    "a file added and the signature told to ignore it",
    "signature: model.sig: signs the folder in another way: leaves out ['model.sig', 'evil.bin']",
)
def ignored(scene: Scene) -> None:
    scene.file("evil.bin").write_bytes(b"evil")
    _statement(scene, lambda text: re.sub(r'("model.sig")', r'\1, "evil.bin"', text))


@attack("no JSON as a signature", "signature: model.sig: is not JSON: line 1, column 1")
def no_signature(scene: Scene) -> None:
    scene.file("model.sig").write_bytes(b"\x00" * 100)


def _bundle(scene: Scene) -> Any:
    return json.loads(scene.file("model.sig").read_text())


def _write(scene: Scene, value: Any) -> None:
    scene.file("model.sig").write_text(json.dumps(value, separators=(",", ":")))


def _statement(scene: Scene, change: Callable[[str], str]) -> None:
    value = _bundle(scene)
    text = base64.b64decode(value["dsseEnvelope"]["payload"]).decode()
    assert change(text) != text
    value["dsseEnvelope"]["payload"] = base64.b64encode(change(text).encode()).decode()
    _write(scene, value)


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


# --- the table of docs/verifying.md -------------------------------------------------------------


def table() -> str:
    """The rows as Markdown."""
    head = ("What is done", "What is said, with the key", "Tag and ledger only", "Folder only")
    told = [f"| {' | '.join(head)} |", "|---|---|---|---|"]
    for row in ATTACKS:
        said = f"`{row.said.rstrip()}`" if "`" not in row.said else row.said
        marks = [f"refused: {a}" if a else "**not noticed**" for a in (row.project, row.alone)]
        told.append(f"| {row.name} | {said} | {' | '.join(marks)} |")
    return "\n".join(told) + "\n"


def page() -> str:
    """The page with the table as it should be."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
