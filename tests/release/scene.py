"""What an attacker who holds no key does to a release, one function each, and what is said of it.

Rows are noted by `attack`; they stand in attacks_on_files.py and attacks_on_meaning.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlbuild.release.checking.identity import Asked
from tests.release.made import Team

MODEL = "artifacts/model/Dogs.mlpackage"
WEIGHTS = f"{MODEL}/Data/com.apple.CoreML/weights/weight.bin"
NETWORK = f"{MODEL}/Data/com.apple.CoreML/model.mlmodel"


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


def flip(path: Path, offset: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)
