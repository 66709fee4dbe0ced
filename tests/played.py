"""A team, its repository, its CI service and what happens to them: the story of a released model.

The test holds what happens; `tools/played_ci.py` writes it into docs/releasing.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.playing import ROOT, Service, install_hook

PIPELINE = """\
# Whether a day is warm, told from its temperature.
version: 1
name: weather
params: {rows: 40}
datasets:
  days: {path: data/days.csv}
stages:
  train:
    run: python tools/train.py ${{ inputs.days }} ${{ params.rows }} ${{ outputs.model }}
    inputs: {days: datasets.days, code: ./tools/train.py}
    outputs: {model: build/weather/model.json}
  judge:
    run: python tools/judge.py ${{ inputs.model }} ${{ inputs.days }} build/weather/judged.json
    inputs: {model: train.model, days: datasets.days, code: ./tools/judge.py}
    metrics: build/weather/judged.json
    gates: {accuracy: {min: 0.6, max_drop: {value: 0.02, against: release}}}
release:
  artifacts: {model: train.model}
  publish: [{folder: ../shelf}]
  sign: {key_env: MLBUILD_SIGNING_KEY, public_key: keys/release.key.pub}
  card: {title: Weather, summary: Tells whether a day is warm.}
"""
TRAIN = """\
import csv, json, sys

days, rows, model = sys.argv[1:]
with open(days) as file:
    learnt = list(csv.DictReader(file))[: int(rows)]
warm = [float(day["celsius"]) for day in learnt if day["warm"] == "yes"]
cold = [float(day["celsius"]) for day in learnt if day["warm"] == "no"]
with open(model, "w") as file:
    json.dump({"above": (min(warm) + max(cold)) / 2}, file)
"""
JUDGE = """\
import csv, json, sys

model, days, metrics = sys.argv[1:]
with open(model) as file:
    above = json.load(file)["above"]
with open(days) as file:
    asked = list(csv.DictReader(file))
right = sum((float(day["celsius"]) > above) == (day["warm"] == "yes") for day in asked)
with open(metrics, "w") as file:
    json.dump({"accuracy": right / len(asked)}, file)
"""


def days() -> str:
    """Forty days; from a few of them alone the border is learnt in the wrong place."""
    celsius = [2, 25, *range(3, 29), *range(4, 16)]
    rows = [f"{degrees},{'yes' if degrees > 17 else 'no'}" for degrees in celsius]
    return "\n".join(["celsius,warm", *rows]) + "\n"


_FOLDERS = ("pipelines", "tools", "data", "keys")


@dataclass
class Played:
    """The world, and what was typed and told in it."""

    folder: Path
    console: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.folder / "weather"

    @property
    def shelf(self) -> Path:
        return self.folder / "ci" / "shelf"

    @property
    def service(self) -> Service:
        return Service.read(self.folder / "ci" / "service.json")

    def env(self) -> dict[str, str]:
        """A machine where mlbuild is installed, and nothing of this one's own settings."""
        return {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": os.fspath(self.folder / "home"),
            "MLBUILD_CACHE_DIR": os.fspath(self.folder / "cache"),
            "CI": "true",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "Ann" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ann@example.org" for who in ("AUTHOR", "COMMITTER")},
        }

    def quietly(self, *command: str | Path, cwd: Path | None = None) -> str:
        """What belongs to the scene and need not be shown; it must succeed."""
        done = subprocess.run(
            [os.fspath(part) for part in command],
            cwd=cwd or self.project,
            env=self.env(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def types(self, line: str, cwd: Path | None = None, env: Mapping[str, str] = {}) -> str:
        """Somebody types a line; what is told is kept, and given."""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=cwd or self.project,
            env={**self.env(), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.codes.append(done.returncode)
        text = _shown(done.stdout)
        ended = f"[exit {done.returncode}]\n" if done.returncode else ""
        self.console.append(f"$ {line}\n{text}{ended}")
        return text

    def set_rows(self, rows: int) -> None:
        file = self.project / "pipelines/weather.yaml"
        file.write_text(re.sub(r"rows: \d+", f"rows: {rows}", file.read_text()))

    def branch(self, name: str, message: str) -> None:
        """Somebody commits to a branch and pushes it."""
        self.types(f"git switch -q -c {name} && git add -A && git commit -q -m '{message}'")
        self.types(f"git push -q origin {name}")

    def merge(self, name: str) -> None:
        """Somebody merges a branch."""
        self.types(
            f"git switch -q main && git merge -q --ff-only {name} && git push -q origin main"
        )

    @property
    def other(self) -> Path:
        return self.folder / "elsewhere"

    def tags(self) -> list[str]:
        return self.quietly("git", "--git-dir", self.folder / "weather.git", "tag").split()


def begin(folder: Path, api: str) -> Played:
    """A project with a pipeline, a repository and a CI service; nothing is built yet."""
    world = Played(folder)
    for name in ("bin", "home", "cache", "ci", *(f"weather/{n}" for n in _FOLDERS)):
        (folder / name).mkdir(parents=True)
    for name, module in (("python", ""), ("python3", ""), ("mlbuild", "-m mlbuild ")):
        path = folder / "bin" / name
        line = f"PYTHONPATH='{ROOT}' exec '{sys.executable}' {module}"
        path.write_text(f'#!/bin/sh\n{line}"$@"\n')
        path.chmod(0o755)
    world.quietly("git", "init", "-q", "--bare", "-b", "main", "weather.git", cwd=folder)
    world.quietly("git", "init", "-q", "-b", "main", ".")
    world.quietly("git", "remote", "add", "origin", folder / "weather.git")
    (world.project / "README.md").write_text("# Weather\n")
    world.quietly("git", "add", "-A")
    world.quietly("git", "commit", "-q", "-m", "Begin")
    world.quietly("git", "push", "-q", "-u", "origin", "main")
    (world.project / "pipelines/weather.yaml").write_text(PIPELINE)
    (world.project / "tools/train.py").write_text(TRAIN)
    (world.project / "tools/judge.py").write_text(JUDGE)
    (world.project / "data/days.csv").write_text(days())
    (world.project / ".gitignore").write_text("/releases/\n")
    world.quietly("mlbuild", "release", "pipelines/weather.yaml", "--new-key", "../release.key")
    (folder / "release.key.pub").rename(world.project / "keys/release.key.pub")
    service = Service(
        folder=folder / "ci",
        origin=folder / "weather.git",
        workflow=".github/workflows/weather.yml",
        env={**world.env(), "GITHUB_API_URL": api, "GITHUB_REPOSITORY": "team/project"},
        secrets={"MLBUILD_SIGNING_KEY": (folder / "release.key").read_text()},
    )
    install_hook(service)
    return world


# Chapter -> its heading.
CHAPTERS = {
    "begin": "A project that has a pipeline gets a workflow; the first build, and where it is kept",
    "request": "A branch is a pull request: nothing is trained in CI, the figures are told",
    "release": "Merged: CI releases, signs, publishes and tags",
    "verify": "Somebody else, with nothing but a clone and the published folder",
    "unbuilt": "A change that nobody built",
    "worse": "A change for the worse",
    "forced": "It is merged all the same",
    "better": "A change that is as good",
    "tampered": "A byte is changed in what was published; an older release is sent as the newest",
}


def story(world: Played) -> dict[str, str]:
    """Everything that happens, and what was to be seen of it, by chapter."""
    seen: dict[str, str] = {}

    def chapter(name: str) -> None:
        seen[name] = "\n".join(world.console)
        world.console.clear()

    world.types("mlbuild init --ci github --remote ../store")
    world.types("mlbuild run pipelines/weather.yaml")
    world.types("mlbuild push pipelines/weather.yaml")
    chapter("begin")
    world.branch("first", "The first model")
    chapter("request")
    world.merge("first")
    chapter("release")
    world.quietly("git", "clone", "-q", world.folder / "weather.git", world.other, cwd=world.folder)
    check = "mlbuild verify ../ci/shelf/weather/v{} --key keys/release.key.pub --name weather"
    world.types(check.format("1.0.0"), cwd=world.other)
    chapter("verify")
    world.set_rows(20)
    world.branch("unbuilt", "Learn from half of the days")
    chapter("unbuilt")
    world.types("git fetch -q --tags")  # CI made one
    world.set_rows(2)
    world.types("mlbuild run pipelines/weather.yaml")
    world.types("mlbuild push pipelines/weather.yaml")
    world.branch("worse", "Learn from two days")
    chapter("worse")
    world.merge("worse")
    chapter("forced")
    with (world.project / "data/days.csv").open("a") as file:
        file.write("17.6,yes\n")
    world.set_rows(41)
    world.types("mlbuild run pipelines/weather.yaml")
    world.types("mlbuild push pipelines/weather.yaml")
    world.branch("better", "Learn from one day more")
    world.merge("better")
    world.quietly("git", "pull", "-q", cwd=world.other)
    world.types(check.format("1.1.0") + " --at-least 1.1.0", cwd=world.other)
    chapter("better")
    changed = "ci/shelf/weather/v1.1.0/artifacts/model/model.json"
    world.types(f"sed -i s/above/below/ {changed}", cwd=world.folder)
    world.types(check.format("1.1.0"), cwd=world.other)
    world.types(check.format("1.0.0") + " --at-least 1.1.0", cwd=world.other)
    chapter("tampered")
    return seen


def _shown(text: str) -> str:
    """What a terminal would show: no control signs, no trailing blanks."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).replace("\r", "\n")
    return "\n".join(line.rstrip() for line in text.splitlines()) + ("\n" if text else "")


def for_page(text: str, world: Played) -> str:
    """The console with what differs from machine to machine, and from time to time, made equal."""
    text = text.replace(os.fspath(world.folder), "/home/ann")
    # How far it is, is told after some seconds only.
    text = re.sub(r"(?m)^(remote: )?release: .*\n", "", text)
    text = re.sub(r"/home/ann/ci/[0-9a-f]{8}-release/../shelf", "/home/ann/ci/shelf", text)
    text = re.sub(r"\b[0-9a-f]{40}\b", "3f0c5c1e8f7a4f3a9d1b6a2e5c7d9f0b1a2c3d4e", text)
    return re.sub(r"\b\d+\.\d s\b", "0.1 s", text)


def shape(text: str) -> str:
    """What two tellings of the story have in common: everything but sizes."""
    return re.sub(r"[ \d.]+(bytes|kB)\b", " N bytes", text)
