"""Attacks on bytes, files and the signature."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable
from typing import Any

from mlbuild.release.signing import sign
from tests.release.keys import pair
from tests.release.scene import MODEL, OTHER_FILES, UNSIGNED, WEIGHTS, Scene, attack, digest, flip

# --- bytes --------------------------------------------------------------------------------------


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
