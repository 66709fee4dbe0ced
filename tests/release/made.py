"""A team's releases, for tests: a git project with ledger and tags, and signed release folders."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from mlbuild.fingerprint import listing_md5
from mlbuild.release.documents import write_documents
from mlbuild.release.facts import ReleasedArtifact, ReleasedFile
from mlbuild.release.signing import sign
from mlbuild.release.tags import version_tag
from tests.release.facts_of import released
from tests.release.keys import pair

SPEC = {"key_env": "KEY", "public_key": "keys/release.pub"}
PIPELINE = """version: 1
name: Dogs
release: {artifacts: {model: best.model}, sign: {key_env: KEY, public_key: keys/release.pub}}
stages: {}
"""


@dataclass(frozen=True)
class Team:
    """A project with two releases of dogs and one of cats, all signed with one key."""

    root: Path
    key: Path  # the public one

    def release(self, name: str = "dogs", version: str = "2.0.0") -> Path:
        return self.root / "releases" / name / f"v{version}"


def team(root: Path) -> Team:
    """Makes the project; dogs 1.1.0 and 2.0.0 have models of their own."""
    (root / "keys").mkdir(parents=True)
    (root / "keys/release.pub").write_bytes(pair()[1])
    (root / "pipelines").mkdir()
    (root / "pipelines/dogs.yaml").write_text(PIPELINE)
    (root / ".gitignore").write_text("/releases/\n")
    git(root, "init", "-q", "-b", "main", ".")
    for version, model in (("1.1.0", b"first model"), ("2.0.0", b"second model")):
        released_by(root, "dogs", version, model)
    released_by(root, "cats", "2.0.0", b"a model of cats")
    return Team(root, root / "keys/release.pub")


def released_by(root: Path, name: str, version: str, weights: bytes) -> Path:
    """Commits a ledger, makes a release of it, signs it, tags it."""
    folder = root / "releases" / name / f"v{version}"
    scratch = root / "releases" / ".scratch"
    before = released(scratch, name=name, version=version, previous=None, previous_commit=None)
    (
        scratch / "release/artifacts/model/Dogs.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    ).write_bytes(weights)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(scratch / "release", folder)
    artifacts = tuple(as_it_lies(folder, artifact) for artifact in before.artifacts)
    (root / "dvc.lock").write_text(ledger(artifacts))
    git(root, "add", ".")
    git(root, "commit", "-q", "--allow-empty", "-m", f"{name} {version}")
    commit = git(root, "rev-parse", "HEAD")
    facts = replace(before, artifacts=artifacts, commit=commit)
    write_documents(facts, folder)
    sign(folder, SPEC, {"KEY": pair()[0]}, root)
    manifest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    tag = version_tag(facts, manifest)
    git(root, "tag", "-a", "--cleanup=verbatim", "-m", tag.message, tag.name)
    return folder


def as_it_lies(folder: Path, artifact: ReleasedArtifact) -> ReleasedArtifact:
    """The artifact with the digests of the bytes that lie there."""
    paths = sorted(p for p in (folder / artifact.path).rglob("*") if p.is_file())
    files = tuple(
        ReleasedFile(
            p.relative_to(folder).as_posix(),
            p.stat().st_size,
            hashlib.sha256(p.read_bytes()).hexdigest(),
        )
        for p in paths
    )
    rows = [
        (p.relative_to(folder / artifact.path).as_posix(), hashlib.md5(p.read_bytes()).hexdigest())
        for p in paths
    ]
    size = sum(file.size for file in files)
    return replace(artifact, files=files, md5=listing_md5(rows)[0], size=size)


def ledger(artifacts: tuple[ReleasedArtifact, ...]) -> str:
    """dvc.lock as mlbuild writes it, of the stages that made the artifacts."""
    stages = {f"dogs-{a.stage}": _entry(a) for a in artifacts}
    return str(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))


def _entry(artifact: ReleasedArtifact) -> dict[str, Any]:
    pin = {
        "kind": "select/best",
        "stage": artifact.stage,
        "key": artifact.key,
        "paths": {artifact.output: artifact.source},
    }
    out = {"path": artifact.source, "hash": "md5", "md5": artifact.md5, "size": artifact.size}
    return {
        "cmd": f"mlbuild run pipelines/dogs.yaml {artifact.stage} --only --no-record",
        "params": {"pipelines/dogs-lock.json": {f"stages.dogs-{artifact.stage}": pin}},
        "outs": [out],
    }


def git(root: Path, *arguments: str) -> str:
    """Runs git as somebody."""
    who = ("-c", "user.name=Team", "-c", "user.email=team@example.org", "-c", "tag.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return done.stdout.strip()
