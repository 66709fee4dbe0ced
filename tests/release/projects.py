"""Projects that release something, for tests: commands as stages, a file of JSON as the model."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlbuild.build import Pipeline
from mlbuild.cli.release import project_of, variation_of
from mlbuild.records import Json
from mlbuild.release import flow, terms

FILE = "pipelines/p.yaml"
HEAD = "version: 1\nname: dogs\n"
STAGES = """\
params: {epochs: 1}
datasets:
  photos: {path: data/photos.txt}
stages:
  train:
    run: |
      cat ${{ inputs.photos }} > ${{ outputs.model }}
      echo epochs ${{ params.epochs }} >> ${{ outputs.model }}
      echo '{"accuracy": 0.9${{ params.epochs }}}' > build/train.json
    inputs: {photos: datasets.photos}
    outputs: {model: build/model.txt}
    metrics: build/train.json
    gates: {accuracy: {min: 0.5}}
  pack:
    run: tr a-z A-Z < ${{ inputs.model }} > ${{ outputs.package }}
    inputs: {model: train.model}
    outputs: {package: build/package.txt}
"""
RELEASE = """\
release:
  artifacts: {package: pack.package, model: train.model}
  channels: [beta, prod]
  card: {title: Dogs, summary: Names dogs., licence: Apache-2.0}
"""
# The same with a model that can be looked into: `model.json` says what it is.
MODEL = """\
stages:
  convert:
    run: cp ${{ inputs.told }} ${{ outputs.model }}
    inputs: {told: ./model.json}
    outputs: {model: build/Dogs.mlmodel}
release:
  artifacts: {model: convert.model}
"""
TOLD: dict[str, Any] = {
    "type": "mlProgram",
    "spec_version": 8,
    "target": "iOS17",
    "inputs": [{"name": "image", "kind": "image", "type": "image 224 x 224 RGB"}],
    "outputs": [{"name": "label", "kind": "string", "type": "string"}],
    "labels": 2,
    "class_labels": ["boxer", "pug"],
    "metadata": {"author": "Ann"},
    "size_bytes": 100,
    "content": "c1",
}


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Team:
    """A project, its remote, and whatever clones there are."""

    root: Path
    folder: Path  # holds the remote and the clones
    looked: list[str] = field(default_factory=list)  # MD5s of the models that were looked into

    def write(self, text: str, release: str = RELEASE) -> None:
        (self.root / FILE).write_text(f"{HEAD}{text}{release}")

    def tell(self, **changes: Any) -> None:
        """What the model is from now on."""
        (self.root / "model.json").write_text(json.dumps({**TOLD, **changes}))

    def try_build(self, *sets: str) -> bool:
        """Whether a build went well."""
        return Pipeline.load(self.root / FILE, sets=sets).run().ok

    def build(self, *sets: str) -> None:
        assert self.try_build(*sets)

    def commit(self, text: str = "x") -> str:
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", text)
        return git(self.root, "rev-parse", "HEAD")

    def built(self, *sets: str) -> str:
        """Builds and commits; gives the commit."""
        self.build(*sets)
        return self.commit()

    def clone(self, name: str) -> Team:
        """Another checkout of the remote, with what was pushed."""
        git(self.root, "push", "-q", "origin", "HEAD:main")
        root = self.folder / name
        git(self.folder, "clone", "-q", "-b", "main", os.fspath(self.remote), os.fspath(root))
        return Team(root, self.folder, self.looked)

    @property
    def remote(self) -> Path:
        return self.folder / "origin.git"

    def tags(self) -> list[str]:
        return git(self.root, "tag").split()

    def remote_tags(self) -> list[str]:
        return git(self.remote, "tag").split()

    def project(self) -> terms.Project:
        built = variation_of(self.root / FILE, (), ())
        loaded = Pipeline.load(self.root / FILE, profiles=built.profiles, sets=built.sets)
        whole = project_of(loaded, built, lambda done, total, text: None)
        return replace(whole, inspect=self._inspect)

    def _inspect(self, md5: str, place: Path) -> Mapping[str, Json]:
        self.looked.append(md5)
        found: Mapping[str, Json] = json.loads(place.read_text())
        return found

    def release(self, **wish: Any) -> terms.Released:
        whole = {"folder": self.root / "releases", **wish}
        return flow.release(self.project(), terms.Wish(**whole), lambda text: None)

    def manifest(self, version: str) -> dict[str, Any]:
        file = self.root / f"releases/dogs/v{version}/manifest.json"
        found: dict[str, Any] = json.loads(file.read_text())
        return found


def make_team(folder: Path, root: Path) -> Team:
    """An empty project with a remote; commands of git know who works here."""
    git(folder, "init", "-q", "--bare", "-b", "main", "origin.git")
    (root / "pipelines").mkdir(parents=True)
    (root / "data").mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "remote", "add", "origin", os.fspath(folder / "origin.git"))
    (root / "data/photos.txt").write_text("photos\n")
    (root / ".gitignore").write_text("/releases\n")
    return Team(root, folder)


def state(root: Path) -> dict[str, bytes]:
    """Every file of a folder but those of git's and mlbuild's own knowledge."""
    found = {}
    for file in sorted(root.rglob("*")):
        path = file.relative_to(root).as_posix()
        if file.is_file() and not path.startswith((".git/", ".mlbuild/", ".dvc/tmp/")):
            found[path] = file.read_bytes()
    return found
