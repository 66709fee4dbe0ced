"""An owner, a remote and clones of teammates, for tests that share results."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlbuild.cli.main import main
from tests.conftest import Done

PIPELINE = """\
params: {epochs: 1}
stages:
  train:
    run: |
      mkdir -p ${{ outputs.model }}/weights
      echo trained ${{ params.epochs }} > ${{ outputs.model }}/weights/one
      echo shared > ${{ outputs.model }}/two
      echo '{"accuracy": 0.${{ params.epochs }}}' > ${{ outputs.scores }}
    inputs: {code: ./train.txt}
    outputs: {model: out/model, scores: {path: out/scores.json, cache: false}}
  convert:
    run: tr a-z A-Z < ${{ inputs.model }}/weights/one > ${{ outputs.package }}
    inputs: {model: train.model}
    outputs: {package: out/package}
"""
FILE = "pipelines/p.yaml"
CACHE = Path(".dvc/cache")


@dataclass
class Team:
    """Everybody's folders; `at` is where the next command runs."""

    owner: Path
    folder: Path  # for clones and a remote
    monkeypatch: pytest.MonkeyPatch

    @property
    def remote(self) -> Path:
        return self.folder / "remote"

    def mlbuild(self, *arguments: str) -> Done:
        """The command line, in this process: it costs a tenth of one of its own."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(arguments))
        return Done(code, out.getvalue(), err.getvalue())

    def enter(self, root: Path) -> None:
        self.monkeypatch.chdir(root)

    def clone(self, name: str = "mate") -> Path:
        """A fresh clone of what the owner committed; commands run there now."""
        git("add", "-A", at=self.owner)
        git("commit", "-q", "--allow-empty", "-m", "x", at=self.owner)
        root = self.folder / name
        git("clone", "-q", os.fspath(self.owner), os.fspath(root), at=self.folder)
        self.enter(root)
        return root

    def build(self, epochs: int, *more: str) -> Done:
        done = self.mlbuild("run", FILE, "--set", f"epochs={epochs}", "--json", *more)
        assert done.code == 0, done.err + done.out
        return done

    def push(self, *more: str) -> dict[str, object]:
        done = self.mlbuild("push", "--json", *more)
        assert done.code == 0, done.err + done.out
        return done.events[-1]


def object_of(folder: Path, content: bytes) -> Path:
    """The file, below a remote's or a cache's folder, that holds these bytes."""
    return next(p for p in folder.glob("files/md5/??/*") if p.read_bytes() == content)


def spoil(file: Path, content: bytes) -> str:
    """Writes other bytes into an object; returns its digest."""
    file.chmod(0o644)
    file.write_bytes(content)
    return file.parent.name + file.name


def git(*arguments: str, at: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=at, check=True)


def dvc(*arguments: str) -> str:
    """Plain DVC, in the current folder."""
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config(root: Path, text: str) -> None:
    """A DVC repository with these settings."""
    (root / ".dvc").mkdir(exist_ok=True)
    (root / ".dvc/config").write_text(text)
    (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")


def folder_remote(path: Path) -> str:
    return f"[core]\n    remote = r\n['remote \"r\"']\n    url = {path}\n"


def result_of(done: Done) -> tuple[int, int]:
    """How many stages ran, and how many were restored."""
    return done.build["ran"], done.build["restored"]


def entries(folder: Path) -> list[Path]:
    """The run-cache entries below a remote's or a cache's folder."""
    return sorted(p for p in folder.glob("runs/??/*/*") if p.is_file())


def promised(folder: Path) -> set[str]:
    """Every digest that something on a remote promises: entries, and listings of folders."""
    found: set[str] = set()
    for file in entries(folder):
        found |= {out["md5"] for out in json.loads(file.read_text())["outs"]}
    for listing in folder.glob("files/md5/??/*.dir"):
        found |= {row["md5"] for row in json.loads(listing.read_text())}
    return found


def broken_promises(folder: Path) -> set[str]:
    """Those of them that are not there."""
    return {m for m in promised(folder) if not (folder / "files/md5" / m[:2] / m[2:]).exists()}
